package session

import (
	"context"
	"errors"
	"time"

	"github.com/ergane-dev/ergane"
)

// payEvery is how often objects that are owed are delivered, if they can be.
const payEvery = 30 * time.Second

// payDebts delivers what could not be delivered when its calculation ended,
// until it can, or Config.OweFor is over. The session's files stay so long.
func (m *Manager) payDebts() {
	for {
		debts, err := m.store.Debts(m.ctx)
		if err != nil && m.ctx.Err() == nil {
			m.log.Warn("cannot look for what is owed", "error", err)
		}
		for _, d := range debts {
			if m.ctx.Err() != nil || !m.pay(m.ctx, d) {
				break // the store is away for the others, too
			}
		}
		if !pause(m.ctx, payEvery) {
			return
		}
	}
}

// pay tries once to deliver what a calculation is owed. False says that it is
// the result store's fault that it is still owed.
func (m *Manager) pay(ctx context.Context, d ergane.Debt) bool {
	log := m.log.With("session", d.SessionID, "calculation", d.ID)
	e := ending{stdout: d.Owed.Stdout, stderr: d.Owed.Stderr, outputs: d.Owed.Outputs}
	err := m.deliverLate(ctx, d, e)
	switch {
	case ctx.Err() != nil:
		return false
	case err == nil:
		err = m.store.SetResult(ctx, d.ID, *ergane.ResultAt(d.WorkingDirectory))
		log.Info("delivered what was owed")
	case errors.Is(err, ErrSpool), time.Since(d.Status.CompletedAt) > m.cfg.OweFor:
		log.Error("the output of a calculation is lost", "error", err)
		err = m.store.WriteOff(ctx, d.ID)
	default:
		log.Warn("cannot deliver what is owed; trying again", "error", err, "wait", payEvery)
		return m.objects.Permanent(err) // then it is about this one
	}
	if err != nil {
		log.Warn("cannot record what became of a debt; trying again", "error", err, "wait", payEvery)
		return true
	}
	m.hub.moved(d.ID)
	if s, err := m.store.Session(ctx, d.SessionID); err == nil && s.Status.State.Ended() && m.runner(d.SessionID) == nil {
		m.discard(d.SessionID)
	}
	return true
}

func (m *Manager) deliverLate(ctx context.Context, d ergane.Debt, e ending) error {
	r := &runner{m: m, id: d.SessionID, late: true, log: m.log.With("session", d.SessionID)}
	var spool Spool
	if !e.empty() {
		var err error
		if spool, err = m.host.Spool(d.SessionID); err != nil {
			return errors.Join(ErrSpool, err)
		}
		defer spool.Close()
	}
	if err := r.deliver(ctx, spool, d.Calculation, e); err != nil {
		return err
	}
	if spool != nil {
		release(spool, e)
	}
	return nil
}

// discard removes the files of a session that has ended, unless something in
// them is owed still.
func (m *Manager) discard(id string) bool {
	debts, err := m.store.Debts(m.ctx)
	if err != nil {
		return false // the reaper looks again
	}
	for _, d := range debts {
		if d.SessionID == id {
			return false
		}
	}
	if err := m.host.Discard(id); err != nil {
		m.log.Warn("cannot remove a session's files", "session", id, "error", err)
	}
	return true
}
