package delivery

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/ergane-dev/ergane"
)

// A Spool is what a kernel, living or dead, has written. Everything in it comes
// from user code. An error with ErrSpool in its chain is permanent; any other
// means only that something cannot be read now.
type Spool interface {
	// Outcome returns the recorded outcome of a calculation, if there is one
	// that can be believed. An error is never ErrSpool.
	Outcome(id string) (ergane.Outcome, bool, error)
	// Started returns when a calculation began and where its output begins. An
	// error is never ErrSpool.
	Started(id string) (at time.Time, stdout, stderr int64, ok bool, err error)
	// Size is the present length of a stream.
	Size(s ergane.Stream) (int64, error)
	// Section opens a range of a stream.
	Section(s ergane.Stream, r ergane.Range) (Section, error)
	// Outputs opens the first n bytes of a calculation's rich outputs.
	Outputs(id string, n int64) (Section, error)
	// Release frees the disk space of a range.
	Release(s ergane.Stream, r ergane.Range) error
	// Remove deletes the files of one calculation, which the kernel must not need any more.
	Remove(id string) error
	Close() error
}

// ErrSpool is in the chain of a permanent error of a spool: something is
// missing, or is not as it was recorded.
var ErrSpool = errors.New("the spool is damaged")

// A Section is a piece of a file.
type Section interface {
	io.ReaderAt
	io.Closer
	Len() int64
}

// Nothing is an empty Section.
var Nothing Section = nothing{}

type nothing struct{}

func (nothing) ReadAt([]byte, int64) (int, error) { return 0, io.EOF }
func (nothing) Len() int64                        { return 0 }
func (nothing) Close() error                      { return nil }

// Files are what sessions have left on disk.
type Files interface {
	// Spool opens what a session's kernel wrote; its errors are as a Spool's.
	Spool(sessionID string) (Spool, error)
	// Logs opens the driver's log of a session, the older part first: one or two
	// parts, or none if no driver was started.
	Logs(sessionID string) ([]Section, error)
	// LogStored reports whether SetLogStored was called for a session: its log
	// is stored where its MonitoringConfiguration wants it.
	LogStored(sessionID string) (bool, error)
	SetLogStored(sessionID string) error
}

// Objects is the S3 for results.
type Objects interface {
	Put(ctx context.Context, uri string, body io.ReaderAt, size int64, contentType string, d ergane.Delivery) error
	// Permanent reports whether repeating cannot help: no such bucket, access denied.
	Permanent(err error) bool
}

// Store is the part of ergane.Store with the pending deliveries.
type Store interface {
	Session(ctx context.Context, id string) (ergane.Session, error)
	PendingDeliveries(ctx context.Context) ([]ergane.PendingDelivery, error)
	HasPendingDelivery(ctx context.Context, sessionID string) (bool, error)
	RecordDelivery(ctx context.Context, id string, r ergane.CalculationResult) error
	DiscardDelivery(ctx context.Context, id, reason string) error
}

// Sessions are those whose calculations are delivered.
type Sessions interface {
	// Live reports whether a session has a kernel, or is still being ended.
	Live(id string) bool
	// DeliveryOver is called after a pending delivery was recorded or discarded.
	DeliveryOver(ctx context.Context, p ergane.PendingDelivery)
}

// A Meter counts; it must not block.
type Meter interface {
	CountPut(kind string)        // one of PutKinds
	CountRedelivery(kind string) // one of RedeliveryKinds
}

// The results of an attempt to store an object.
const (
	PutStored  = "stored"
	PutRetried = "retried"
	PutFailed  = "failed" // the last attempt for now
)

// PutKinds are all kinds of CountPut.
var PutKinds = []string{PutStored, PutRetried, PutFailed}

// What happens to a calculation that could not be delivered when it ended.
const (
	RedeliveryPending   = "pending"
	RedeliveryDelivered = "delivered"
	RedeliveryExpired   = "expired"    // discarded after Config.KeepFor
	RedeliveryOverLimit = "over_limit" // discarded because too much was pending
	RedeliveryLost      = "lost"       // discarded because its spool is damaged
)

// RedeliveryKinds are all kinds of CountRedelivery.
var RedeliveryKinds = []string{RedeliveryPending, RedeliveryDelivered, RedeliveryExpired, RedeliveryOverLimit, RedeliveryLost}
