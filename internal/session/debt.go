package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/ergane-dev/ergane"
)

// withinBounds writes off the oldest debts until those that are left, which it
// returns, are no more than the configuration allows.
func (m *Manager) withinBounds(ctx context.Context, debts []ergane.Debt) []ergane.Debt {
	var sum int64
	for _, d := range debts {
		sum += d.Owed.Bytes()
	}
	for len(debts) > 0 {
		var why string
		switch {
		case len(debts) > m.cfg.OweCalculations:
			why = fmt.Sprintf("the output of more than %d calculations waited for the result store", m.cfg.OweCalculations)
		case m.cfg.OweBytes > 0 && sum > m.cfg.OweBytes:
			why = fmt.Sprintf("more than %d bytes of output waited for the result store", m.cfg.OweBytes)
		default:
			return debts
		}
		d := debts[0]
		if err := m.writeOff(ctx, d, debtOverLimit, why); err != nil {
			return debts // the next round tries again
		}
		debts, sum = debts[1:], sum-d.Owed.Bytes()
	}
	return debts
}

// pay tries once to deliver what a calculation is owed, or writes off what is
// lost. An error says that it is owed still.
func (m *Manager) pay(ctx context.Context, d ergane.Debt) error {
	log := m.log.With("session", d.SessionID, "calculation", d.ID)
	r := &runner{m: m, id: d.SessionID, late: true, log: log}
	e, err := r.owed(d)
	var spool Spool
	if err == nil && !e.empty() {
		spool, err = m.host.Spool(d.SessionID)
	}
	if spool != nil {
		defer spool.Close()
	}
	if err == nil {
		err = r.deliver(ctx, spool, d.Calculation, e)
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrSpool):
		return m.writeOff(ctx, d, debtLost, "it is lost: "+err.Error())
	case err != nil:
		log.Warn("cannot deliver what is owed; trying again", "error", err)
		return err
	}
	err = m.store.SetResult(ctx, d.ID, *ergane.ResultAt(d.WorkingDirectory))
	if err != nil && ergane.CodeOf(err) != ergane.CodeNotFound { // else it went with its workgroup
		log.Warn("cannot record that a debt is paid; trying again", "error", err)
		return err
	}
	if err == nil {
		log.Info("delivered what was owed")
		m.cfg.Meter.Count(CountDebts, debtPaid)
	}
	if spool != nil {
		release(spool, e) // not before: until it is recorded, it is delivered again
		_ = spool.Remove(d.ID)
	}
	m.cleared(ctx, d)
	return nil
}

// writeOff gives up what a calculation is owed, and says so in its reason.
func (m *Manager) writeOff(ctx context.Context, d ergane.Debt, kind, why string) error {
	why = "; the server has given it up, because " + why
	reason := shorten(d.Status.Reason, maxReason-len([]rune(why))) + why
	err := m.store.WriteOff(ctx, d.ID, clip(reason))
	if err != nil && ergane.CodeOf(err) != ergane.CodeNotFound {
		m.log.Warn("cannot write off a debt; trying again", "session", d.SessionID, "calculation", d.ID, "error", err)
		return err
	}
	m.log.Error("the output of a calculation is given up", "session", d.SessionID, "calculation", d.ID, "bytes", d.Owed.Bytes(), "reason", reason)
	m.cfg.Meter.Count(CountDebts, kind)
	if spool, err := m.host.Spool(d.SessionID); err == nil {
		release(spool, ending{stdout: d.Owed.Stdout, stderr: d.Owed.Stderr})
		_ = spool.Remove(d.ID)
		spool.Close()
	}
	m.cleared(ctx, d)
	return nil
}

// cleared tells those who watch, and removes the files if nothing else needs them.
func (m *Manager) cleared(ctx context.Context, d ergane.Debt) {
	m.hub.moved(d.ID)
	if s, err := m.store.Session(ctx, d.SessionID); err == nil && s.Status.State.Ended() && m.runner(d.SessionID) == nil {
		m.discard(d.SessionID)
	}
}

// owed is what there is to deliver of a debt; it is looked for where that could
// not be read when the calculation ended.
func (r *runner) owed(d ergane.Debt) (ending, error) {
	if !d.Owed.Unread {
		return ending{stdout: d.Owed.Stdout, stderr: d.Owed.Stderr, outputs: d.Owed.Outputs}, nil
	}
	left, err := r.remains(d.Calculation)
	switch {
	case err != nil:
		return ending{}, err
	case left.outcome != nil:
		return endingOf(*left.outcome), nil
	case left.started.IsZero():
		return ending{}, nil
	}
	return ending{stdout: left.stdout, stderr: left.stderr, outputs: allOutputs}, nil
}

// discard removes the files of a session that has ended. While something in
// them is owed still, that much stays.
func (m *Manager) discard(id string) bool {
	owes, err := m.store.Owes(m.ctx, id)
	if err != nil {
		return false // the reaper looks again
	}
	remove := m.host.Discard
	if owes {
		remove = m.host.Trim
	}
	if err := remove(id); err != nil {
		m.log.Warn("cannot remove a session's files", "session", id, "error", err)
	}
	return !owes
}
