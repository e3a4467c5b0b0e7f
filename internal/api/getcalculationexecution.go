package api

import (
	"context"

	"github.com/ergane-dev/ergane/internal/athena"
)

func (s *Service) getCalculationExecution(ctx context.Context, in *athena.GetCalculationExecutionRequest) (*athena.GetCalculationExecutionResponse, error) {
	c, err := s.manager.Calculation(ctx, caller(ctx), value(in.CalculationExecutionId))
	if err != nil {
		return nil, err
	}
	return &athena.GetCalculationExecutionResponse{
		CalculationExecutionId: &c.ID,
		SessionId:              &c.SessionID,
		Description:            present(c.Description),
		WorkingDirectory:       &c.WorkingDirectory,
		Status:                 calculationStatus(c.Status),
		Statistics:             calculationStatistics(c.Statistics),
		Result:                 calculationResult(c.Result),
	}, nil
}
