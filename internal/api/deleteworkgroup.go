package api

import (
	"context"

	"github.com/ergane-dev/ergane/internal/athena"
)

func (s *Service) deleteWorkGroup(ctx context.Context, in *athena.DeleteWorkGroupInput) (*athena.DeleteWorkGroupOutput, error) {
	if err := s.manager.DeleteWorkGroup(ctx, value(in.WorkGroup), value(in.RecursiveDeleteOption)); err != nil {
		return nil, err
	}
	return &athena.DeleteWorkGroupOutput{}, nil
}
