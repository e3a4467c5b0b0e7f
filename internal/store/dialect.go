package store

import (
	"context"
	"errors"

	"github.com/pressly/goose/v3"
)

// A dialect is what one kind of SQL database does in its own way. Everything
// else of this package is plain SQL, the same text for each of them.
type dialect struct {
	driver     string        // its name in database/sql
	migrations goose.Dialect // how goose records which migrations were applied
	// join finds, for each row on its left, the rows on its right by an index,
	// and never the other way round.
	join string
	// translate gives an error of the driver the words of this package:
	// errExists, errNoParent, or a sentence for an operator.
	translate func(error) error
	// reclaim is Store.Reclaim.
	reclaim func(ctx context.Context, s *Store) (more bool, err error)
}

// What the constraints of the schema say, in every dialect.
var (
	errExists   = errors.New("the key is in use")
	errNoParent = errors.New("the row refers to one that does not exist")
)
