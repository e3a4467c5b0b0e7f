package session

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/ergane-dev/ergane"
)

// CreateWorkGroup makes a workgroup. An engine version that is not given is AUTO.
func (m *Manager) CreateWorkGroup(ctx context.Context, w ergane.WorkGroup) error {
	if err := m.complete(&w.Configuration); err != nil {
		return err
	}
	w.State = ergane.WorkGroupEnabled
	w.CreatedAt = time.Now()
	return m.store.CreateWorkGroup(ctx, w)
}

// WorkGroup returns a workgroup by name, with the output location that is in effect.
func (m *Manager) WorkGroup(ctx context.Context, name string) (ergane.WorkGroup, error) {
	w, err := m.store.WorkGroup(ctx, name)
	w.Configuration.OutputLocation = m.outputLocation(w)
	return w, err
}

// WorkGroups lists the workgroups by name.
func (m *Manager) WorkGroups(ctx context.Context, p ergane.Page) ([]ergane.WorkGroup, error) {
	return m.store.WorkGroups(ctx, p)
}

// complete checks a configuration and fills in what follows from it.
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
	}
	return nil
}

func (m *Manager) makePrimary(ctx context.Context) error {
	_, err := m.store.WorkGroup(ctx, ergane.PrimaryWorkGroup)
	if ergane.CodeOf(err) != ergane.CodeInvalid {
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

// outputLocation is where a workgroup's sessions put their results, without a trailing slash.
func (m *Manager) outputLocation(w ergane.WorkGroup) string {
	if w.Configuration.OutputLocation != "" {
		return w.Configuration.OutputLocation
	}
	return m.cfg.Results + "/" + w.Name
}
