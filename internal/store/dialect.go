package store

import (
	"context"
	"errors"

	"github.com/pressly/goose/v3"
)

// A dialect is what one SQL database does in its own way. Everything else of
// this package is plain SQL, with the same text for all databases.
type dialect struct {
	driver     string        // its name in database/sql
	migrations goose.Dialect // how goose records which migrations were applied
	// join finds, for each row on its left, the rows on its right by an index,
	// and never the other way round.
	join string
	// translate turns an error of the driver into one of this package:
	// errExists, errNoParent, or one with a sentence for an operator.
	translate func(error) error
	// reclaim is Store.Reclaim.
	reclaim func(ctx context.Context, s *Store) (more bool, err error)
}

// The errors of the schema's constraints, in every dialect.
var (
	errExists   = errors.New("the key is in use")
	errNoParent = errors.New("the row refers to one that does not exist")
)
