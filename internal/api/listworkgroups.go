package api

import (
	"context"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/athena"
	"github.com/ergane-dev/ergane/internal/awsjson"
)

func (s *Service) listWorkGroups(ctx context.Context, in *athena.ListWorkGroupsInput) (*athena.ListWorkGroupsOutput, error) {
	p, err := s.page(in.MaxResults, 50, in.NextToken, "workgroups")
	if err != nil {
		return nil, err
	}
	all, err := s.manager.WorkGroups(ctx, p)
	if err != nil {
		return nil, err
	}
	all, next := cut(s, all, p, func(w ergane.WorkGroup) ergane.Key { return ergane.Key{ID: w.Name} }, "workgroups")
	out := &athena.ListWorkGroupsOutput{WorkGroups: []athena.WorkGroupSummary{}, NextToken: next}
	for _, w := range all {
		out.WorkGroups = append(out.WorkGroups, athena.WorkGroupSummary{
			Name:          new(w.Name),
			Description:   new(w.Description), // an empty one is shown here, and left out by GetWorkGroup
			State:         new(athena.WorkGroupState(w.State)),
			CreationTime:  awsjson.Timestamp(w.CreatedAt),
			EngineVersion: engineVersion(w.Configuration.EngineVersion),
		})
	}
	return out, nil
}
