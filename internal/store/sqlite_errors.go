package store

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/ergane-dev/ergane"
)

const full = "the disk that holds the database is full"

// The conditions that an operator can fix. Clients see these sentences, too.
var conditions = map[int]string{
	sqlite3.SQLITE_FULL: full,
	// The log's index could not grow: it is memory-mapped and fails differently.
	sqlite3.SQLITE_IOERR_SHMSIZE: full,
	sqlite3.SQLITE_BUSY:          "the database is locked by another process",
	sqlite3.SQLITE_CORRUPT:       "the database is damaged; restore it from a backup, or move it aside to start with an empty one",
	sqlite3.SQLITE_NOTADB:        "the file is damaged or not a database; restore it from a backup, or move it aside to start with an empty one",
	sqlite3.SQLITE_IOERR:         "the disk that holds the database failed",
	sqlite3.SQLITE_READONLY:      "the database is read-only",
	sqlite3.SQLITE_CANTOPEN:      "the database file cannot be opened",
}

// translate turns the driver's errors into this package's; nothing else knows them.
func translate(err error) error {
	driver, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	if _, done := errors.AsType[*ergane.Error](err); done {
		return err
	}
	switch driver.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return fmt.Errorf("%w: %w", errExists, err)
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return fmt.Errorf("%w: %w", errNoParent, err)
	}
	sentence, ok := conditions[driver.Code()]
	if !ok { // the low byte is the primary result code
		sentence, ok = conditions[driver.Code()&0xff]
	}
	if !ok {
		return err
	}
	return &ergane.Error{Code: ergane.CodeUnable, Message: sentence, Cause: err}
}
