package session

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"time"

	"github.com/ergane-dev/ergane"
)

// CreateWorkGroup makes a workgroup. An engine version that is not given is AUTO.
func (m *Manager) CreateWorkGroup(ctx context.Context, w ergane.WorkGroup) error {
	if err := m.complete(&w.Configuration); err != nil {
		return err
	}
	var err error
	if w.Tags, err = ergane.WithTags(nil, w.Tags); err != nil {
		return err
	}
	w.State = ergane.WorkGroupEnabled
	w.CreatedAt = time.Now()
	if err := m.store.CreateWorkGroup(ctx, w); err != nil {
		return err
	}
	m.log.Info("workgroup created", "workgroup", w.Name)
	return nil
}

// WorkGroup returns a workgroup by name, with its effective output location.
func (m *Manager) WorkGroup(ctx context.Context, name string) (ergane.WorkGroup, error) {
	w, err := m.store.WorkGroup(ctx, name)
	w.Configuration.OutputLocation = m.outputLocation(w)
	return w, err
}

// WorkGroups lists the workgroups by name.
func (m *Manager) WorkGroups(ctx context.Context, p ergane.Page) ([]ergane.WorkGroup, error) {
	return m.store.WorkGroups(ctx, p)
}

// complete checks a configuration and fills in its effective engine version.
func (m *Manager) complete(c *ergane.WorkGroupConfiguration) error {
	if c.EngineVersion.Selected == "" {
		c.EngineVersion.Selected = "AUTO"
	}
	effective, err := m.host.Resolve(c.EngineVersion.Selected)
	if err != nil {
		return err
	}
	c.EngineVersion.Effective = effective
	c.OutputLocation = strings.TrimRight(c.OutputLocation, "/")
	if loc := c.OutputLocation; loc != "" && !strings.HasPrefix(loc, "s3://") {
		return ergane.Errorf(ergane.CodeInvalid, "OutputLocation %q is not an s3:// address, for instance s3://my-bucket/results", loc)
	} else if loc != "" {
		if err := m.host.Location(loc); err != nil {
			return ergane.Errorf(ergane.CodeInvalid, "OutputLocation %q cannot be used: %s", loc, err)
		}
	}
	if own := m.cfg.Account; own != "" && c.BucketOwner != "" && c.BucketOwner != own {
		return ergane.Errorf(ergane.CodeInvalid, "ExpectedBucketOwner is %s, but the buckets of the embedded S3 belong to %s.", c.BucketOwner, own)
	}
	if e := c.Encryption; e != nil {
		switch {
		case e.Option != ergane.EncryptS3 && e.Option != ergane.EncryptKMS:
			return ergane.Errorf(ergane.CodeInvalid, "EncryptionOption %s is not offered; use %s or %s.", e.Option, ergane.EncryptS3, ergane.EncryptKMS)
		case e.Option == ergane.EncryptKMS && e.KmsKey == "":
			return ergane.Errorf(ergane.CodeInvalid, "KmsKey is required with EncryptionOption %s.", ergane.EncryptKMS)
		}
	}
	return nil
}

// UpdateWorkGroup lets change edit a workgroup in one transaction. The new
// settings are for new sessions; DISABLED also refuses new calculations in live
// sessions.
func (m *Manager) UpdateWorkGroup(ctx context.Context, name string, change func(*ergane.WorkGroup) error) error {
	now, err := m.store.UpdateWorkGroup(ctx, name, func(w *ergane.WorkGroup) error {
		before := w.Configuration
		if err := change(w); err != nil {
			return err
		}
		if reflect.DeepEqual(before, w.Configuration) {
			return nil // the old configuration may not be valid any more, which this change does not touch
		}
		return m.complete(&w.Configuration)
	})
	if err == nil {
		m.log.Info("workgroup updated", "workgroup", name, "state", now.State)
	}
	return err
}

// EngineVersions are those that a workgroup can select.
func (m *Manager) EngineVersions() []ergane.EngineVersion { return m.host.Versions() }

func (m *Manager) makePrimary(ctx context.Context) error {
	_, err := m.store.WorkGroup(ctx, ergane.PrimaryWorkGroup)
	if ergane.CodeOf(err) != ergane.CodeNotFound {
		return err
	}
	err = m.CreateWorkGroup(ctx, ergane.WorkGroup{
		Name:          ergane.PrimaryWorkGroup,
		Configuration: ergane.WorkGroupConfiguration{EngineVersion: ergane.EngineVersion{Selected: m.cfg.DefaultEngine}},
	})
	var e *ergane.Error
	if errors.As(err, &e) && e.Code == ergane.CodeInvalid && strings.Contains(e.Message, "already created") {
		return nil
	}
	return err
}

// outputLocation is the s3:// address below which the results of a workgroup's sessions are put, without a trailing slash.
func (m *Manager) outputLocation(w ergane.WorkGroup) string {
	if w.Configuration.OutputLocation != "" {
		return w.Configuration.OutputLocation
	}
	return m.cfg.Results + "/" + w.Name
}
