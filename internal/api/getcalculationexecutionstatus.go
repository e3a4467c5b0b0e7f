package api

import (
	"context"

	"github.com/ergane-dev/ergane/internal/athena"
)

func (s *Service) getCalculationExecutionStatus(ctx context.Context, in *athena.GetCalculationExecutionStatusRequest) (*athena.GetCalculationExecutionStatusResponse, error) {
	c, err := s.manager.Calculation(ctx, caller(ctx), value(in.CalculationExecutionId))
	if err != nil {
		return nil, err
	}
	return &athena.GetCalculationExecutionStatusResponse{
		Status:     calculationStatus(c.Status),
		Statistics: calculationStatistics(c.Statistics),
	}, nil
}
