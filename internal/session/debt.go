package session

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"

	"github.com/ergane-dev/ergane"
)

const (
	// payEvery is how often objects that are owed are looked for.
	payEvery = 30 * time.Second
	// payAtLeast is how far apart the attempts at one debt become.
	payAtLeast = time.Hour
)

// attempts says when which debt is tried again.
type attempts map[string]attempt

type attempt struct {
	wait time.Duration
	next time.Time
}

func (a attempts) due(id string) bool { return !time.Now().Before(a[id].next) }

func (a attempts) failed(id string) {
	wait := min(max(2*a[id].wait, payEvery), payAtLeast)
	a[id] = attempt{wait, time.Now().Add(wait)}
}

// payDebts delivers what could not be delivered when its calculation ended,
// until it can, or Config.OweFor is over. The session's files stay so long.
func (m *Manager) payDebts() {
	tried := attempts{}
	for {
		debts, err := m.store.Debts(m.ctx)
		if err != nil && m.ctx.Err() == nil {
			m.log.Warn("cannot look for what is owed", "error", err)
		}
		away := map[string]bool{} // buckets that are
		for _, d := range debts {
			bucket, _, _ := strings.Cut(strings.TrimPrefix(d.WorkingDirectory, "s3://"), "/")
			if away[bucket] || !tried.due(d.ID) {
				continue
			}
			if paid := m.pay(m.ctx, d); m.ctx.Err() != nil {
				return
			} else if paid {
				delete(tried, d.ID)
			} else {
				away[bucket] = true
				tried.failed(d.ID)
			}
		}
		if !pause(m.ctx, payEvery) {
			return
		}
	}
}

// pay tries once to deliver what a calculation is owed, or writes it off.
// False says that it is owed still.
func (m *Manager) pay(ctx context.Context, d ergane.Debt) bool {
	log := m.log.With("session", d.SessionID, "calculation", d.ID)
	e := ending{stdout: d.Owed.Stdout, stderr: d.Owed.Stderr, outputs: d.Owed.Outputs}
	spool, err := m.owedSpool(d.SessionID, e)
	if spool != nil {
		defer spool.Close()
	}
	if err == nil {
		r := &runner{m: m, id: d.SessionID, late: true, log: log}
		err = r.deliver(ctx, spool, d.Calculation, e)
	}
	delivered := err == nil
	switch {
	case ctx.Err() != nil:
		return false
	case delivered:
		err = m.store.SetResult(ctx, d.ID, *ergane.ResultAt(d.WorkingDirectory))
	case errors.Is(err, ErrSpool), time.Since(d.Status.CompletedAt) > m.cfg.OweFor:
		log.Error("the output of a calculation is lost", "error", err)
		err = m.store.WriteOff(ctx, d.ID)
	default:
		log.Warn("cannot deliver what is owed; trying again", "error", err)
		return false
	}
	if ergane.CodeOf(err) == ergane.CodeUnknown {
		return true // it went with its workgroup
	}
	if err != nil {
		log.Warn("cannot record what became of a debt; trying again", "error", err)
		return false
	}
	if delivered {
		log.Info("delivered what was owed")
		if spool != nil {
			release(spool, e) // not before: until it is recorded, it is delivered again
		}
	}
	m.hub.moved(d.ID)
	if s, err := m.store.Session(ctx, d.SessionID); err == nil && s.Status.State.Ended() && m.runner(d.SessionID) == nil {
		m.discard(d.SessionID)
	}
	return true
}

// owedSpool opens the spool that has what is owed, if that is more than
// nothing. Only a spool that is gone is damaged; what else is wrong may pass.
func (m *Manager) owedSpool(sessionID string, e ending) (Spool, error) {
	if e.empty() {
		return nil, nil
	}
	spool, err := m.host.Spool(sessionID)
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.Join(ErrSpool, err)
	}
	return spool, err
}

// discard removes the files of a session that has ended, unless something in
// them is owed still.
func (m *Manager) discard(id string) bool {
	if owes, err := m.store.Owes(m.ctx, id); err != nil || owes {
		return false // the reaper looks again
	}
	if err := m.host.Discard(id); err != nil {
		m.log.Warn("cannot remove a session's files", "session", id, "error", err)
	}
	return true
}
