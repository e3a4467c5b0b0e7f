package api

import (
	"context"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/athena"
)

// applicationDPUSizes are the executor sizes that StartSession accepts, by
// runtime: one DPU, the only size that the service model allows.
var applicationDPUSizes = []athena.ApplicationDPUSizes{
	{ApplicationRuntimeId: new("Athena notebook version 1"), SupportedDPUSizes: []int{1}},
}

func (s *Service) listApplicationDPUSizes(_ context.Context, in *athena.ListApplicationDPUSizesInput) (*athena.ListApplicationDPUSizesOutput, error) {
	p, err := s.page(in.MaxResults, 100, in.NextToken, "dpu sizes")
	if err != nil {
		return nil, err
	}
	key := func(a athena.ApplicationDPUSizes) ergane.Key { return ergane.Key{ID: *a.ApplicationRuntimeId} }
	all, next := cut(s, pageOf(applicationDPUSizes, p, key), p, key, "dpu sizes")
	return &athena.ListApplicationDPUSizesOutput{ApplicationDPUSizes: all, NextToken: next}, nil
}
