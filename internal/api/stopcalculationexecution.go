package api

import (
	"context"

	"github.com/ergane-dev/ergane/internal/athena"
)

func (s *Service) stopCalculationExecution(ctx context.Context, in *athena.StopCalculationExecutionRequest) (*athena.StopCalculationExecutionResponse, error) {
	state, err := s.manager.StopCalculation(ctx, value(in.CalculationExecutionId))
	if err != nil {
		return nil, err
	}
	return &athena.StopCalculationExecutionResponse{State: new(athena.CalculationExecutionState(state))}, nil
}
