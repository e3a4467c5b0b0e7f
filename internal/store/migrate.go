package store

import (
	"context"
	"embed"
	"io/fs"

	"github.com/pressly/goose/v3"

	"github.com/ergane-dev/ergane"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date. A newer schema is refused: this binary
// does not know what a newer Ergane relies on.
func migrate(ctx context.Context, on *pool) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(on.dialect.migrations, on.db, files)
	if err != nil {
		return err
	}
	have, know, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > know {
		return ergane.Errorf(ergane.CodeInternal,
			"a newer Ergane wrote this database (schema %d, this one knows up to %d); use that version, or another data directory", have, know)
	}
	_, err = p.Up(ctx)
	return err
}
