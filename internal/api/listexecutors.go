package api

import (
	"context"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/athena"
)

func (s *Service) listExecutors(ctx context.Context, in *athena.ListExecutorsRequest) (*athena.ListExecutorsResponse, error) {
	session, state := value(in.SessionId), value(in.ExecutorStateFilter)
	list := []string{"executors", session, string(state)}
	p, err := s.page(in.MaxResults, 100, in.NextToken, list...)
	if err != nil {
		return nil, err
	}
	all, err := s.manager.Executors(ctx, session, ergane.ExecutorState(state), p)
	if err != nil {
		return nil, err
	}
	all, next := cut(s, all, p, executorKey, list...)
	out := &athena.ListExecutorsResponse{SessionId: &session, ExecutorsSummary: []athena.ExecutorsSummary{}, NextToken: next}
	for _, e := range all {
		out.ExecutorsSummary = append(out.ExecutorsSummary, athena.ExecutorsSummary{
			ExecutorId:          new(e.ID),
			ExecutorType:        new(athena.ExecutorType(e.Type)),
			ExecutorState:       new(athena.ExecutorState(e.State)),
			ExecutorSize:        new(e.Size),
			StartDateTime:       epochMillis(e.StartedAt),
			TerminationDateTime: epochMillis(e.TerminatedAt),
		})
	}
	return out, nil
}

func executorKey(e ergane.Executor) ergane.Key { return ergane.Key{At: e.StartedAt, ID: e.ID} }
