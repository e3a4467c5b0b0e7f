package api

import (
	"context"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/athena"
)

func (s *Service) listCalculationExecutions(ctx context.Context, in *athena.ListCalculationExecutionsRequest) (*athena.ListCalculationExecutionsResponse, error) {
	session, state := value(in.SessionId), value(in.StateFilter)
	list := []string{"calculations", session, string(state)}
	p, err := s.page(in.MaxResults, 100, in.NextToken, list...)
	if err != nil {
		return nil, err
	}
	all, err := s.manager.Calculations(ctx, session, ergane.CalculationState(state), p)
	if err != nil {
		return nil, err
	}
	all, next := cut(s, all, p, calculationKey, list...)
	out := &athena.ListCalculationExecutionsResponse{Calculations: []athena.CalculationSummary{}, NextToken: next}
	for _, c := range all {
		out.Calculations = append(out.Calculations, athena.CalculationSummary{
			CalculationExecutionId: new(c.ID),
			Description:            present(c.Description),
			Status:                 calculationStatus(c.Status),
		})
	}
	return out, nil
}
