package api

import (
	"context"

	"github.com/ergane-dev/ergane/internal/athena"
)

func (s *Service) getCalculationExecutionCode(ctx context.Context, in *athena.GetCalculationExecutionCodeRequest) (*athena.GetCalculationExecutionCodeResponse, error) {
	code, err := s.manager.CalculationCode(ctx, value(in.CalculationExecutionId))
	if err != nil {
		return nil, err
	}
	return &athena.GetCalculationExecutionCodeResponse{CodeBlock: &code}, nil
}
