package session

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/ergane-dev/ergane"
)

// A CalculationRequest is what StartCalculationExecution asks for.
type CalculationRequest struct {
	SessionID   string
	Description string
	Code        string
	Tokens      []ergane.Token
	// RequestID and ReceivedAt are those of the API's request.
	RequestID  string
	ReceivedAt time.Time
}

// StartCalculation takes a code block for an IDLE session. When it returns
// without an error, the calculation will have exactly one outcome.
func (m *Manager) StartCalculation(ctx context.Context, req CalculationRequest) (ergane.Calculation, error) {
	if n := utf8.RuneCountInString(req.Code); n > ergane.MaxCodeBlock {
		return ergane.Calculation{}, ergane.Errorf(ergane.CodeInvalid,
			"1 validation error detected: Value at 'codeBlock' failed to satisfy constraint: Member must have length less than or equal to %d", ergane.MaxCodeBlock)
	}
	s, err := m.store.Session(ctx, req.SessionID)
	if err != nil {
		return ergane.Calculation{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return ergane.Calculation{}, err
	}
	begun := time.Now()
	c, created, err := m.store.Submit(ctx, ergane.Calculation{
		ID:               id.String(),
		SessionID:        s.ID,
		Description:      req.Description,
		WorkingDirectory: s.WorkingDirectory + "/" + id.String(),
		Code:             req.Code,
		Status:           ergane.CalculationStatus{State: ergane.CalculationCreating, SubmittedAt: begun},
	}, req.Tokens)
	if err != nil {
		return ergane.Calculation{}, err
	}
	if created {
		m.cfg.Meter.Took(StepCommit, time.Since(begun))
		if !req.ReceivedAt.IsZero() {
			m.cfg.Meter.Took(StepReceive, begun.Sub(req.ReceivedAt))
		}
		m.log.Info("calculation created", "session", s.ID, "calculation", c.ID, "request_id", req.RequestID)
		m.hub.moved(s.ID)
		m.holdFor(c.ID)
		m.nudge(s.ID)
	}
	return c, nil
}

// CalculationCode returns the code of a calculation as it was submitted.
func (m *Manager) CalculationCode(ctx context.Context, id string) (string, error) {
	return m.store.CalculationCode(ctx, id)
}

// Calculations lists a session's calculations, newest first.
func (m *Manager) Calculations(ctx context.Context, sessionID string, state ergane.CalculationState, p ergane.Page) ([]ergane.Calculation, error) {
	if _, err := m.store.Session(ctx, sessionID); err != nil {
		return nil, err
	}
	var states []ergane.CalculationState
	if state != "" {
		states = []ergane.CalculationState{state}
	}
	return m.store.Calculations(ctx, sessionID, states, p)
}

// StopCalculation asks for the end of a calculation and returns its state. One
// that has ended stays as it is.
func (m *Manager) StopCalculation(ctx context.Context, id string) (ergane.CalculationState, error) {
	c, moved, err := m.moveCalculation(ctx, ergane.CalculationStopping(id, time.Now(), "The calculation was stopped per request"))
	if err != nil {
		return "", err
	}
	if moved {
		m.holdFor(id)
	}
	if c.Status.State == ergane.CalculationCanceling {
		m.nudge(c.SessionID) // after a repeated call, too: the answer to the first may have been lost
	}
	return c.Status.State, nil
}
