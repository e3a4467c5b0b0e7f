package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/ergane-dev/ergane/internal/session"
)

// keepFlags say how long what has ended is kept.
type keepFlags struct {
	Keep          keepTime            `help:"How long sessions are kept after their end, with their calculations, code and executors: 30d, 12h; a number alone is days; 0: for ever." default:"0" env:"ERGANE_KEEP" placeholder:"DAYS"`
	KeepWorkgroup map[string]keepTime `help:"The same for the sessions of a workgroup: NAME=DAYS; may be repeated." env:"ERGANE_KEEP_WORKGROUP" placeholder:"NAME=DAYS"`
	ExpireObjects bool                `help:"With --keep, remove the objects of calculations from S3, too: stdout, stderr and results." env:"ERGANE_EXPIRE_OBJECTS"`
}

// retention is the setting for the session manager.
func (f keepFlags) retention() session.Retention {
	r := session.Retention{For: time.Duration(f.Keep), Objects: f.ExpireObjects}
	for name, d := range f.KeepWorkgroup {
		if r.WorkGroups == nil {
			r.WorkGroups = map[string]time.Duration{}
		}
		r.WorkGroups[name] = time.Duration(d)
	}
	return r
}

// check refuses flags that would have no effect.
func (f keepFlags) check() error {
	longest := f.Keep
	for _, d := range f.KeepWorkgroup {
		longest = max(longest, d)
	}
	if f.ExpireObjects && longest == 0 {
		return errors.New("--expire-objects has no effect without --keep: nothing expires")
	}
	return nil
}

// A keepTime is a duration that can also be written in days: 30, 30d, 0.5d, 12h.
type keepTime time.Duration

const day = 24 * time.Hour

// Decode implements kong.MapperValue: in the --config file it may be a number.
func (k *keepTime) Decode(ctx *kong.DecodeContext) error {
	t, err := ctx.Scan.PopValue("days")
	if err != nil {
		return err
	}
	return k.UnmarshalText([]byte(fmt.Sprint(t.Value)))
}

// UnmarshalJSON reads a value of a map in the --config file.
func (k *keepTime) UnmarshalJSON(raw []byte) error {
	return k.UnmarshalText(bytes.Trim(raw, `"`))
}

// UnmarshalText reads a value of the command line or the environment.
func (k *keepTime) UnmarshalText(text []byte) error {
	s := string(text)
	if days, err := strconv.ParseFloat(strings.TrimSuffix(s, "d"), 64); err == nil {
		if !(days >= 0 && days <= float64(math.MaxInt64/int64(day))) {
			return fmt.Errorf("%q is not a number of days", s)
		}
		*k = keepTime(days * float64(day))
		return nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return fmt.Errorf("%q is neither a number of days nor a duration, for instance 30d or 12h", s)
	}
	*k = keepTime(d)
	return nil
}

// String is how it is written; 0 is for ever.
func (k keepTime) String() string {
	d := time.Duration(k)
	if d%day == 0 && d > 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	return d.String()
}

// keptFor says how long sessions are kept.
func keptFor(r session.Retention) string {
	said := "sessions are kept for ever (serve --keep)"
	if r.For > 0 {
		said = fmt.Sprintf("sessions are kept for %s after their end", keepTime(r.For))
	}
	for _, name := range slices.Sorted(maps.Keys(r.WorkGroups)) {
		limit := "for ever"
		if d := r.WorkGroups[name]; d > 0 {
			limit = keepTime(d).String()
		}
		said += fmt.Sprintf(", those of %s: %s", name, limit)
	}
	if r.Objects {
		said += "; then their objects are removed, too"
	}
	return said
}
