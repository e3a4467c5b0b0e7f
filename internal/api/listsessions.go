package api

import (
	"context"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/athena"
)

func (s *Service) listSessions(ctx context.Context, in *athena.ListSessionsRequest) (*athena.ListSessionsResponse, error) {
	workgroup, state := value(in.WorkGroup), value(in.StateFilter)
	list := []string{"sessions", workgroup, string(state)}
	p, err := s.page(in.MaxResults, 100, in.NextToken, list...)
	if err != nil {
		return nil, err
	}
	all, err := s.manager.Sessions(ctx, workgroup, ergane.SessionState(state), p)
	if err != nil {
		return nil, err
	}
	all, next := cut(s, all, p, sessionKey, list...)
	out := &athena.ListSessionsResponse{Sessions: []athena.SessionSummary{}, NextToken: next}
	for _, got := range all {
		out.Sessions = append(out.Sessions, athena.SessionSummary{
			SessionId:       new(got.ID),
			Description:     present(got.Description),
			EngineVersion:   engineVersion(got.EngineVersion),
			NotebookVersion: present(got.NotebookVersion),
			Status:          sessionStatus(got.Status),
		})
	}
	return out, nil
}
