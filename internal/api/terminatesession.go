package api

import (
	"context"

	"github.com/ergane-dev/ergane/internal/athena"
)

func (s *Service) terminateSession(ctx context.Context, in *athena.TerminateSessionRequest) (*athena.TerminateSessionResponse, error) {
	state, err := s.manager.TerminateSession(ctx, value(in.SessionId))
	if err != nil {
		return nil, err
	}
	return &athena.TerminateSessionResponse{State: new(athena.SessionState(state))}, nil
}
