package api

import (
	"context"

	"github.com/ergane-dev/ergane/internal/athena"
)

func (s *Service) getSessionStatus(ctx context.Context, in *athena.GetSessionStatusRequest) (*athena.GetSessionStatusResponse, error) {
	got, err := s.manager.Session(ctx, caller(ctx), value(in.SessionId))
	if err != nil {
		return nil, err
	}
	return &athena.GetSessionStatusResponse{SessionId: &got.ID, Status: sessionStatus(got.Status)}, nil
}
