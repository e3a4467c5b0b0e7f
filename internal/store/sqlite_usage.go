package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"
)

// Usage is how large a database is, and how fast it grows.
type Usage struct {
	Bytes        int64 // of the file and its log
	Free         int64 // of Bytes: what new rows use first
	Shrinks      bool  // see Store.Shrinks
	Sessions     int64
	Calculations int64
	// PerDay estimates how many bytes a day were added over the last Days, which
	// are seven or the database's age. It assumes that the sessions and calculations
	// of these days use their share of the bytes; removed ones do not count.
	PerDay int64
	Days   float64
}

const (
	aDay   = 24 * time.Hour
	window = 7 * aDay
)

// Measure reads how large the database at path is. It changes nothing, and a
// server may have the database open.
func Measure(ctx context.Context, path string, now time.Time) (u Usage, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("measure database %s: %w", path, translate(err))
		}
	}()
	info, err := os.Stat(path)
	if err != nil {
		return u, err
	}
	u.Bytes = info.Size()
	how := "mode=ro"
	if log, err := os.Stat(path + "-wal"); err == nil {
		u.Bytes += log.Size()
	} else {
		how = "immutable=1" // no process has it open, and reading must not create a log
	}
	from := url.URL{Scheme: "file", Path: path, RawQuery: how + "&_pragma=query_only(1)&_pragma=busy_timeout(2000)"}
	db, err := sql.Open("sqlite", from.String())
	if err != nil {
		return u, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	var page, free, mode int64
	for pragma, into := range map[string]*int64{"page_size": &page, "freelist_count": &free, "auto_vacuum": &mode} {
		if err := db.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(into); err != nil {
			return u, err
		}
	}
	u.Free, u.Shrinks = free*page, mode == incremental
	began := now.Add(-window)
	var young int64
	oldest := now.UnixMilli()
	for text, count := range map[string]*int64{
		"SELECT count(*), coalesce(sum(started_ms > $1), 0), coalesce(min(started_ms), $2) FROM sessions":         &u.Sessions,
		"SELECT count(*), coalesce(sum(submitted_ms > $1), 0), coalesce(min(submitted_ms), $2) FROM calculations": &u.Calculations,
	} {
		var n, first int64
		if err := db.QueryRowContext(ctx, text, began.UnixMilli(), now.UnixMilli()).Scan(count, &n, &first); err != nil {
			return u, err
		}
		young, oldest = young+n, min(oldest, first)
	}
	span := min(max(now.Sub(time.UnixMilli(oldest)), aDay), window)
	u.Days = span.Hours() / 24
	if all := u.Sessions + u.Calculations; all > 0 {
		u.PerDay = int64(float64(u.Bytes-u.Free) * float64(young) / float64(all) / u.Days)
	}
	return u, nil
}
