package session

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ergane-dev/ergane"
)

// A StartRequest is what StartSession asks for.
type StartRequest struct {
	WorkGroup       string
	Description     string
	Engine          ergane.EngineConfiguration
	ExecutionRole   string
	IdleTimeout     time.Duration // 0: DefaultIdleTimeout
	NotebookVersion string
	Tags            []ergane.Tag
	// OwnTagsOnly keeps the workgroup's tags from being copied.
	OwnTagsOnly bool
	Monitoring  json.RawMessage
	// Tokens make the call idempotent.
	Tokens []ergane.Token
	// RequestID is that of the API's request.
	RequestID string
}

// StartSession records a session and has its kernel started. It waits up to
// startHold for the session to be IDLE, and returns it as it is then.
func (m *Manager) StartSession(ctx context.Context, key string, req StartRequest) (ergane.Session, error) {
	w, err := m.store.WorkGroup(ctx, req.WorkGroup)
	if err != nil {
		return ergane.Session{}, err
	}
	// A repeated call gets the same session, even if the settings have changed.
	s, found, err := m.store.SessionOf(ctx, req.Tokens, time.Now())
	if err != nil {
		return ergane.Session{}, err
	}
	created := false
	if !found {
		if s, created, err = m.create(ctx, w, req); err != nil {
			return ergane.Session{}, err
		}
	}
	if created {
		m.log.Info("session created", "session", s.ID, "workgroup", s.WorkGroup, "engine", s.EngineVersion.Effective, "request_id", req.RequestID)
	}
	if m.cfg.Hold <= 0 {
		return s, nil
	}
	held, err := m.session(ctx, key, s.ID, time.Now().Add(min(startHold, m.cfg.Hold)))
	if err != nil {
		return s, nil // the session exists, even if the wait failed
	}
	return held, nil
}

// create inserts a session and gives it a runner. A session that gets a kernel
// that was started ahead has that kernel's id: inserting its row takes the kernel.
func (m *Manager) create(ctx context.Context, w ergane.WorkGroup, req StartRequest) (_ ergane.Session, created bool, err error) {
	s, err := m.newSession(w, req)
	if err != nil {
		return s, false, err
	}
	claim := m.pool.take(s)
	var given Kernel
	if claim.waiting != nil {
		s.ID, given = claim.id, claim.k
	}
	s.WorkingDirectory = m.outputLocation(w) + "/session/" + s.ID
	s, created, err = m.store.CreateSession(ctx, s, req.Tokens, m.cfg.Limits)
	if created {
		m.holdFor(s.ID)
		m.own(s.ID, given, false)
	}
	m.pool.settle(claim, created, err)
	if limit, ok := errors.AsType[ergane.Limit](err); ok {
		m.cfg.Meter.Count(CountLimits, string(limit))
	}
	return s, created, err
}

// newSession completes a request by the workgroup's settings and checks it.
func (m *Manager) newSession(w ergane.WorkGroup, req StartRequest) (ergane.Session, error) {
	if req.Engine.AdditionalConfigs["NotebookId"] != "" && req.NotebookVersion == "" {
		return ergane.Session{}, ergane.Errorf(ergane.CodeInvalid, "NotebookVersion is required when NotebookId is provided.")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return ergane.Session{}, err
	}
	now := time.Now()
	set := settingsOf(req, w.Configuration)
	s := ergane.Session{
		ID:               id.String(),
		WorkGroup:        w.Name,
		Owner:            m.cfg.Server,
		Description:      req.Description,
		WorkingDirectory: m.outputLocation(w) + "/session/" + id.String(),
		EngineVersion:    w.Configuration.EngineVersion,
		Engine:           set.engine,
		ExecutionRole:    set.role,
		IdleTimeout:      req.IdleTimeout,
		Encryption:       w.Configuration.Encryption,
		BucketOwner:      w.Configuration.BucketOwner,
		NotebookVersion:  req.NotebookVersion,
		Monitoring:       set.monitoring,
		Status:           ergane.SessionStatus{State: ergane.SessionCreating, StartedAt: now, ModifiedAt: now},
	}
	if s.IdleTimeout == 0 {
		s.IdleTimeout = DefaultIdleTimeout
	}
	var inherited []ergane.Tag
	if !req.OwnTagsOnly {
		inherited = w.Tags
	}
	if s.Tags, err = ergane.WithTags(inherited, req.Tags); err != nil {
		return s, err
	}
	s.Dpus = cmp.Or(s.Engine.MaxConcurrentDpus, ergane.DefaultDpus)
	s.Memory, err = m.host.Check(s)
	return s, err
}

// settings are those that both a request and its workgroup can set.
type settings struct {
	engine     ergane.EngineConfiguration
	role       string
	monitoring json.RawMessage
}

// settingsOf takes the request's settings, and the workgroup's for what the
// request leaves out; if the workgroup enforces its settings, the other way round.
func settingsOf(req StartRequest, c ergane.WorkGroupConfiguration) settings {
	first, second := settings{req.Engine, req.ExecutionRole, req.Monitoring}, settings{role: c.ExecutionRole, monitoring: c.Monitoring}
	if c.Engine != nil {
		second.engine = *c.Engine
	}
	if c.Enforce {
		first, second = second, first
	}
	first.engine = withDefaults(first.engine, second.engine)
	first.role = cmp.Or(first.role, second.role)
	if first.monitoring == nil {
		first.monitoring = second.monitoring
	}
	return first
}

// withDefaults fills in what a configuration leaves out. For a Spark property
// in both, the configuration's value wins.
func withDefaults(req, def ergane.EngineConfiguration) ergane.EngineConfiguration {
	size := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	size(&req.CoordinatorDpuSize, def.CoordinatorDpuSize)
	size(&req.DefaultExecutorDpuSize, def.DefaultExecutorDpuSize)
	size(&req.MaxConcurrentDpus, def.MaxConcurrentDpus)
	props := def.Properties()
	for k := range req.Properties() {
		delete(props, k)
	}
	if len(props) > 0 {
		for k, v := range req.SparkProperties {
			props[k] = v
		}
		req.SparkProperties = props
	}
	for _, c := range def.Classifications {
		named := func(own ergane.Classification) bool { return own.Name == c.Name }
		if c.Name != ergane.SparkDefaults && !slices.ContainsFunc(req.Classifications, named) {
			req.Classifications = append(slices.Clip(req.Classifications), c)
		}
	}
	if len(def.AdditionalConfigs) > 0 {
		additional := maps.Clone(def.AdditionalConfigs)
		maps.Copy(additional, req.AdditionalConfigs)
		req.AdditionalConfigs = additional
	}
	return req
}

// Sessions lists a workgroup's sessions, newest first: those in the state
// given, or the active ones.
func (m *Manager) Sessions(ctx context.Context, workgroup string, state ergane.SessionState, p ergane.Page) ([]ergane.Session, error) {
	if _, err := m.store.WorkGroup(ctx, workgroup); err != nil {
		return nil, err
	}
	states := ergane.ActiveSessionStates
	if state != "" {
		states = []ergane.SessionState{state}
	}
	return m.store.Sessions(ctx, workgroup, states, p)
}

// terminatedByRequest is Athena's own sentence for an ended session.
const terminatedByRequest = "Session was terminated per request"

// TerminateSession asks for the end of a session and returns its state. One that
// has ended stays as it is.
func (m *Manager) TerminateSession(ctx context.Context, id string) (ergane.SessionState, error) {
	s, moved, err := m.moveSession(ctx, ergane.SessionStopping(id, time.Now(), terminatedByRequest))
	if err != nil {
		return "", err
	}
	if moved {
		m.holdFor(id)
	}
	if s.Status.State == ergane.SessionTerminating {
		m.nudge(id) // after a repeated call, too: the answer to the first may have been lost
	}
	return s.Status.State, nil
}

// holdFor makes reads of the ids be held for Config.Hold from now on.
func (m *Manager) holdFor(ids ...string) {
	for _, id := range ids {
		m.hub.holdUntil(id, time.Now().Add(m.cfg.Hold))
	}
}
