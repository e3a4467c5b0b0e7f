package api

import (
	"context"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/athena"
)

func (s *Service) listEngineVersions(_ context.Context, in *athena.ListEngineVersionsInput) (*athena.ListEngineVersionsOutput, error) {
	p, err := s.page(in.MaxResults, 10, in.NextToken, "engines")
	if err != nil {
		return nil, err
	}
	key := func(v ergane.EngineVersion) ergane.Key { return ergane.Key{ID: v.Selected} }
	all, next := cut(s, pageOf(s.manager.EngineVersions(), p, key), p, key, "engines")
	out := &athena.ListEngineVersionsOutput{EngineVersions: []athena.EngineVersion{}, NextToken: next}
	for _, v := range all {
		out.EngineVersions = append(out.EngineVersions, *engineVersion(v))
	}
	return out, nil
}
