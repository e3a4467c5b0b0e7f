package api

import (
	"context"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/athena"
)

func (s *Service) createWorkGroup(ctx context.Context, in *athena.CreateWorkGroupInput) (*athena.CreateWorkGroupOutput, error) {
	configuration, err := configurationFrom(in.Configuration)
	if err != nil {
		return nil, err
	}
	err = s.manager.CreateWorkGroup(ctx, ergane.WorkGroup{
		Name:          value(in.Name),
		Description:   value(in.Description),
		Configuration: configuration,
		Tags:          tagsFrom(in.Tags),
	})
	if err != nil {
		return nil, err
	}
	return &athena.CreateWorkGroupOutput{}, nil
}

// configurationFrom reads the members that Ergane uses from the wire shape, and
// keeps the rest in Echo.
func configurationFrom(c *athena.WorkGroupConfiguration) (ergane.WorkGroupConfiguration, error) {
	var out ergane.WorkGroupConfiguration
	if c == nil {
		return out, nil
	}
	rest := *c
	if v := c.EngineVersion; v != nil {
		out.EngineVersion.Selected = value(v.SelectedEngineVersion)
	}
	if c.EngineConfiguration != nil {
		out.Engine = new(engineFrom(c.EngineConfiguration))
	}
	out.ExecutionRole = value(c.ExecutionRole)
	out.Enforce = value(c.EnforceWorkGroupConfiguration)
	var err error
	if out.Monitoring, err = monitoringFrom(c.MonitoringConfiguration); err != nil {
		return out, err
	}
	rest.SystemTableStatuses = nil // read-only and the account's, which has no system tables here
	rest.EngineVersion, rest.EngineConfiguration, rest.ExecutionRole = nil, nil, nil
	rest.EnforceWorkGroupConfiguration, rest.MonitoringConfiguration = nil, nil
	if r := c.ResultConfiguration; r != nil {
		out.OutputLocation = value(r.OutputLocation)
		out.BucketOwner = value(r.ExpectedBucketOwner)
		out.Encryption = encryptionFrom(r.EncryptionConfiguration)
		left := *r
		left.OutputLocation, left.ExpectedBucketOwner, left.EncryptionConfiguration = nil, nil, nil
		rest.ResultConfiguration = &left
	}
	out.Echo, err = echo(rest)
	return out, err
}
