package store

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
)

// A preparer is a pool or a transaction.
type preparer interface {
	prepare(ctx context.Context, text string) (*sql.Stmt, error)
	translate(err error) error // of the driver
}

// all returns the rows of a statement. It is not interrupted: reads are short,
// and database/sql and the driver would need a third of the time to watch ctx.
func all[T any](ctx context.Context, p preparer, scan func(*sql.Rows) (T, error), text string, args ...any) (_ []T, err error) {
	defer func() { err = p.translate(err) }()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	ctx = context.WithoutCancel(ctx)
	stmt, err := p.prepare(ctx, text)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, v)
	}
	return found, rows.Err()
}

// one returns the row of a statement that has at most one.
func one[T any](ctx context.Context, p preparer, scan func(*sql.Rows) (T, error), text string, args ...any) (v T, ok bool, err error) {
	rows, err := all(ctx, p, scan, text, args...)
	if err != nil || len(rows) == 0 {
		return v, false, err
	}
	return rows[0], true, nil
}

// run executes a statement that returns no rows, and returns how many it changed.
func run(ctx context.Context, p preparer, text string, args ...any) (int64, error) {
	stmt, err := p.prepare(ctx, text)
	if err != nil {
		return 0, p.translate(err)
	}
	result, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return 0, p.translate(err)
	}
	return result.RowsAffected()
}

func scanString(rows *sql.Rows) (s string, err error) { return s, rows.Scan(&s) }

// placeholders is "$first, …" for n arguments.
func placeholders(first, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(first+i))
	}
	return b.String()
}

// with appends values of a string type to arguments.
func with[S ~string](args []any, values []S) []any {
	for _, v := range values {
		args = append(args, string(v))
	}
	return args
}
