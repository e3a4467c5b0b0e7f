package ergane

import (
	"context"
	"time"
)

// A Store keeps workgroups, sessions, calculations, executors and the leases of
// servers. A package that needs only one of these takes its interface.
//
// When a method returns without an error, its change is durable. Every move is
// applied by compare-and-set: moved is false if the object was in none of the
// move's source states. The object as it is now is returned in both cases,
// because a lost race is newer information and not an error.
//
// Times never run backwards, whatever a move says: a time before the one that it
// must follow becomes equal to it. They are kept to the millisecond.
//
// Unknown names and ids give the ErrXxxNotFound errors of this package.
type Store interface {
	WorkGroups
	Sessions
	Calculations
	PendingDeliveries
	Executors
	Servers

	// Reclaim returns a bounded part of the space of removed rows to the disk, if
	// the store can; more is true while there is more to return.
	Reclaim(ctx context.Context) (more bool, err error)
	Close() error
}

// WorkGroups is the part of a Store that keeps workgroups.
type WorkGroups interface {
	// CreateWorkGroup refuses a name in use with CodeInvalid, "WorkGroup is already created".
	CreateWorkGroup(ctx context.Context, w WorkGroup) error
	WorkGroup(ctx context.Context, name string) (WorkGroup, error)
	// WorkGroups lists by name, ascending.
	WorkGroups(ctx context.Context, p Page) ([]WorkGroup, error)
	// UpdateWorkGroup calls change with the workgroup, in one transaction, and
	// stores the result; if change returns an error, it is returned and nothing is
	// stored. Name and CreatedAt cannot change. Existing sessions are not affected.
	UpdateWorkGroup(ctx context.Context, name string, change func(*WorkGroup) error) (WorkGroup, error)
	// CondemnWorkGroup makes a workgroup not found from now on, and moves its live
	// sessions to TERMINATING and returns them. A workgroup that has or had sessions
	// is refused with CodeState unless recursive. PurgeWorkGroup removes what
	// belonged to it; until then its name cannot be used again.
	CondemnWorkGroup(ctx context.Context, name string, recursive bool, at time.Time, reason string) ([]Session, error)
	// PurgeWorkGroup removes a bounded part of what belongs to a condemned
	// workgroup, and last the workgroup itself. While one of its sessions is live
	// it does nothing.
	PurgeWorkGroup(ctx context.Context, name string) (Purge, error)
	// CondemnedWorkGroups returns the names of those that are not purged yet.
	CondemnedWorkGroups(ctx context.Context) ([]string, error)
}

// Sessions is the part of a Store that keeps sessions.
type Sessions interface {
	// CreateSession inserts s, or returns the session that one of the tokens
	// created before (created is then false). It refuses a session that exceeds
	// the limits with the errors of Limits.Admit, a token that was used with
	// another hash with ErrTokenMismatch, and a new session of a DISABLED workgroup
	// with ErrWorkGroupDisabled. A session begins CREATING at its Status.StartedAt,
	// at which also its tokens must be valid; the rest of its Status is ignored.
	CreateSession(ctx context.Context, s Session, tokens []Token, l Limits) (_ Session, created bool, err error)
	Session(ctx context.Context, id string) (Session, error)
	// SessionOf finds the session that one of the tokens created, as CreateSession
	// would at that time, also with ErrTokenMismatch.
	SessionOf(ctx context.Context, tokens []Token, at time.Time) (_ Session, found bool, err error)
	// UpdateSessionTags is UpdateWorkGroup for the tags of a session.
	UpdateSessionTags(ctx context.Context, id string, change func([]Tag) ([]Tag, error)) error
	// Sessions lists a workgroup's sessions in any of the states (all when
	// none is given), newest first.
	Sessions(ctx context.Context, workgroup string, states []SessionState, p Page) ([]Session, error)
	// LiveSessions returns the sessions of an owner that have not ended, oldest
	// first; owner is the id of a server, or "" for the sessions that have none.
	LiveSessions(ctx context.Context, owner string) ([]Session, error)
	// MoveSession also moves the executors that have not ended when the session
	// becomes TERMINATING, TERMINATED or FAILED, to the same state.
	MoveSession(ctx context.Context, m SessionMove) (_ Session, moved bool, err error)

	// Expired lists a workgroup's sessions that ended before a time and have
	// no pending delivery, the first to end first. Their keys are their ends and ids.
	Expired(ctx context.Context, workgroup string, before time.Time, p Page) ([]Session, error)
	// Expire removes, of the sessions named, those that ended before a time and
	// have no pending delivery, with all that belongs to them: calculations, their
	// code, executors and tokens. One call removes a bounded part of that: gone are
	// the sessions that are removed completely, left are those to call it with
	// again. Of one that is partly removed, the remaining calculations are listed.
	// It also removes a bounded part of the tokens that expired before that time.
	Expire(ctx context.Context, ids []string, before time.Time) (gone, left []string, err error)
}

// Calculations is the part of a Store that keeps calculations.
type Calculations interface {
	// Submit inserts c and moves its session IDLE→BUSY in one transaction, or
	// returns the calculation that one of the tokens created before; tokens are
	// looked up before anything else. It fails with ErrWorkGroupDisabled, and with
	// ErrSessionState if the session is not IDLE.
	// A calculation begins CREATING at its Status.SubmittedAt, and not before
	// the session's last move. If it was created, it is returned with its code.
	Submit(ctx context.Context, c Calculation, tokens []Token) (_ Calculation, created bool, err error)
	// Calculation returns it without its code.
	Calculation(ctx context.Context, id string) (Calculation, error)
	CalculationCode(ctx context.Context, id string) (string, error)
	// Calculations lists a session's calculations, without code and result, newest first.
	Calculations(ctx context.Context, sessionID string, states []CalculationState, p Page) ([]Calculation, error)
	// OpenCalculations returns a session's calculations that are not terminal,
	// with their code, oldest first.
	OpenCalculations(ctx context.Context, sessionID string) ([]Calculation, error)
	// MoveCalculation adds the DpuMillis of a calculation that ends to the
	// session's. A CANCELED one without a reason keeps that of CANCELING.
	MoveCalculation(ctx context.Context, m CalculationMove) (_ Calculation, moved bool, err error)
	// Settle ends a calculation and moves its session, in one transaction. If the
	// calculation cannot move, nothing happens and moved is false. If only the
	// session cannot, because it is terminating, the calculation still ends.
	// The calculation's DpuMillis are added to the session's.
	Settle(ctx context.Context, c CalculationMove, s SessionMove) (_ Calculation, _ Session, moved bool, err error)
	// SetProgress updates the statistics of calculations, by their ids, in one
	// write. Terminal and unknown ones are skipped. Unlike all else, what it wrote
	// may be lost in a power failure.
	SetProgress(ctx context.Context, s map[string]CalculationStatistics) error
}

// PendingDeliveries is the part of a Store that keeps which calculations have
// ended and whose objects are not delivered yet.
type PendingDeliveries interface {
	// RecordDelivery records objects that were delivered after the calculation
	// had ended without them; its delivery is then no longer pending. It does not
	// replace a result that was recorded before.
	RecordDelivery(ctx context.Context, id string, r CalculationResult) error
	// PendingDeliveries are the calculations that ended with a
	// CalculationMove.Undelivered and whose delivery was neither recorded nor discarded.
	PendingDeliveries(ctx context.Context) ([]PendingDelivery, error)
	// HasPendingDelivery reports whether a session has any.
	HasPendingDelivery(ctx context.Context, sessionID string) (bool, error)
	// DiscardDelivery gives up a pending delivery for good; the reason, which says
	// so, becomes the calculation's. If none is pending, it does nothing.
	DiscardDelivery(ctx context.Context, id, reason string) error
}

// Executors is the part of a Store that keeps executors.
type Executors interface {
	// SaveExecutors inserts executors by ID, or updates their state, size and end
	// if an edge leads to the state; a TERMINATED or FAILED one never changes. An
	// executor neither starts before its session nor ends after it; one of an ended
	// session is saved as ended, and one of a TERMINATING session as TERMINATING.
	SaveExecutors(ctx context.Context, es []Executor) error
	// EndExecutors marks every executor of the session that has not ended as
	// TERMINATED or FAILED.
	EndExecutors(ctx context.Context, sessionID string, to ExecutorState, at time.Time) error
	// Executors lists a session's executors, newest first.
	Executors(ctx context.Context, sessionID string, states []ExecutorState, p Page) ([]Executor, error)
}

// Servers is the part of a Store that keeps which server owns which sessions.
// Session.Owner is the id of the server that runs a session. The server owns it
// until its lease expires; then another server may take the session over.
type Servers interface {
	// RenewLease sets the end of a server's lease, also to an earlier time. A power
	// failure may undo it.
	RenewLease(ctx context.Context, server string, until time.Time) error
	// TakeOver makes a server the owner of the live sessions that have no owner or
	// whose owner's lease has expired at the time given, and returns them, oldest
	// first. If several servers try, exactly one gets a session.
	TakeOver(ctx context.Context, server string, at time.Time) ([]Session, error)
}

// A Census counts the sessions and calculations that have not ended, by state.
type Census struct {
	Sessions     map[SessionState]int
	Calculations map[CalculationState]int
	// PendingDeliveries are calculations that have ended.
	PendingDeliveries int
}

// A Page is a part of a list: at most Limit items after the key After. The zero
// After starts at the beginning.
type Page struct {
	Limit int
	After Key
}

// A Key is the place of an item in its list: its time and id, or only its name, as ID.
type Key struct {
	At time.Time // to the millisecond
	ID string
}

// Purge is the progress of removing a workgroup.
type Purge string

const (
	PurgeWaits Purge = "waits" // for live sessions to end
	PurgeGoes  Purge = "goes"  // a part was removed
	PurgeDone  Purge = "done"  // nothing is left
)

// A Token makes a call that creates something idempotent: the first call with a
// Scope and Value creates it, a later one with the same Hash gets the same.
type Token struct {
	Scope string // who and which operation
	Value string
	Hash  string // of the call's parameters
	// Until is when the token expires; the zero time means never.
	Until time.Time
}
