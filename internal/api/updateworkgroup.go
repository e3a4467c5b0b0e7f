package api

import (
	"context"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/athena"
)

func (s *Service) updateWorkGroup(ctx context.Context, in *athena.UpdateWorkGroupInput) (*athena.UpdateWorkGroupOutput, error) {
	err := s.manager.UpdateWorkGroup(ctx, value(in.WorkGroup), func(w *ergane.WorkGroup) error {
		if in.Description != nil {
			w.Description = *in.Description
		}
		if in.State != nil {
			w.State = ergane.WorkGroupState(*in.State)
		}
		if in.ConfigurationUpdates == nil {
			return nil
		}
		c, err := configurationTo(w.Configuration)
		if err != nil {
			return err
		}
		update(c, in.ConfigurationUpdates)
		w.Configuration, err = configurationFrom(c)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &athena.UpdateWorkGroupOutput{}, nil
}

// update changes the members of c that u has, structures as a whole. If a call
// both removes and sets a member, it is set.
func update(c *athena.WorkGroupConfiguration, u *athena.WorkGroupConfigurationUpdates) {
	set(&c.AdditionalConfiguration, u.AdditionalConfiguration, nil)
	set(&c.BytesScannedCutoffPerQuery, u.BytesScannedCutoffPerQuery, u.RemoveBytesScannedCutoffPerQuery)
	set(&c.CustomerContentEncryptionConfiguration, u.CustomerContentEncryptionConfiguration, u.RemoveCustomerContentEncryptionConfiguration)
	set(&c.EnableMinimumEncryptionConfiguration, u.EnableMinimumEncryptionConfiguration, nil)
	set(&c.EnforceWorkGroupConfiguration, u.EnforceWorkGroupConfiguration, nil)
	set(&c.EngineConfiguration, u.EngineConfiguration, nil)
	set(&c.EngineVersion, u.EngineVersion, nil)
	set(&c.ExecutionRole, u.ExecutionRole, nil)
	set(&c.MonitoringConfiguration, u.MonitoringConfiguration, nil)
	set(&c.PublishCloudWatchMetricsEnabled, u.PublishCloudWatchMetricsEnabled, nil)
	set(&c.QueryResultsS3AccessGrantsConfiguration, u.QueryResultsS3AccessGrantsConfiguration, nil)
	set(&c.RequesterPaysEnabled, u.RequesterPaysEnabled, nil)
	if r := u.ResultConfigurationUpdates; r != nil {
		to := c.ResultConfiguration // configurationTo always gives one
		set(&to.AclConfiguration, r.AclConfiguration, r.RemoveAclConfiguration)
		set(&to.EncryptionConfiguration, r.EncryptionConfiguration, r.RemoveEncryptionConfiguration)
		set(&to.ExpectedBucketOwner, r.ExpectedBucketOwner, r.RemoveExpectedBucketOwner)
		set(&to.OutputLocation, r.OutputLocation, r.RemoveOutputLocation)
	}
	if m := u.ManagedQueryResultsConfigurationUpdates; m != nil {
		to := c.ManagedQueryResultsConfiguration
		if to == nil {
			to = &athena.ManagedQueryResultsConfiguration{Enabled: new(false)}
			c.ManagedQueryResultsConfiguration = to
		}
		set(&to.Enabled, m.Enabled, nil)
		set(&to.EncryptionConfiguration, m.EncryptionConfiguration, m.RemoveEncryptionConfiguration)
	}
}

// set sets a member to what is given, or removes it.
func set[T any](member **T, given *T, remove *bool) {
	switch {
	case given != nil:
		*member = given
	case value(remove):
		*member = nil
	}
}
