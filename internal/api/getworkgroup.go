package api

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/athena"
	"github.com/ergane-dev/ergane/internal/awsjson"
)

func (s *Service) getWorkGroup(ctx context.Context, in *athena.GetWorkGroupInput) (*athena.GetWorkGroupOutput, error) {
	w, err := s.manager.WorkGroup(ctx, value(in.WorkGroup))
	if err != nil {
		return nil, err
	}
	configuration, err := configurationTo(w.Configuration)
	if err != nil {
		return nil, fmt.Errorf("read the echo of workgroup %s: %w", w.Name, err)
	}
	return &athena.GetWorkGroupOutput{WorkGroup: &athena.WorkGroup{
		Name:          &w.Name,
		Description:   present(w.Description),
		State:         new(athena.WorkGroupState(w.State)),
		CreationTime:  awsjson.Timestamp(w.CreatedAt),
		Configuration: configuration,
	}}, nil
}

// configurationTo is the inverse of configurationFrom.
func configurationTo(c ergane.WorkGroupConfiguration) (*athena.WorkGroupConfiguration, error) {
	out := &athena.WorkGroupConfiguration{}
	if c.Echo != nil {
		if err := json.Unmarshal(c.Echo, out); err != nil {
			return nil, err
		}
	}
	out.EngineVersion = engineVersion(c.EngineVersion)
	out.ExecutionRole = present(c.ExecutionRole)
	// The first version kept these in the echo.
	if c.Enforce || out.EnforceWorkGroupConfiguration == nil {
		out.EnforceWorkGroupConfiguration = &c.Enforce
	}
	if c.Monitoring != nil {
		var err error
		if out.MonitoringConfiguration, err = monitoringTo(c.Monitoring); err != nil {
			return nil, err
		}
	}
	if c.Engine != nil {
		out.EngineConfiguration = engineTo(*c.Engine)
	}
	if out.ResultConfiguration == nil {
		out.ResultConfiguration = &athena.ResultConfiguration{}
	}
	out.ResultConfiguration.OutputLocation = present(c.OutputLocation)
	if c.BucketOwner != "" {
		out.ResultConfiguration.ExpectedBucketOwner = &c.BucketOwner
	}
	out.ResultConfiguration.EncryptionConfiguration = encryptionTo(c.Encryption)
	return out, nil
}
