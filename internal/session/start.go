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

// StartSession records a session and sets its kernel going. The session comes
// back as it is within at most startHold: IDLE if it was that quick.
func (m *Manager) StartSession(ctx context.Context, key string, req StartRequest) (ergane.Session, error) {
	w, err := m.store.WorkGroup(ctx, req.WorkGroup)
	if err != nil {
		return ergane.Session{}, err
	}
	// A repeated call gets its session, whatever the settings have become.
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
		return s, nil // the session exists, whatever became of the wait
	}
	return held, nil
}

// create inserts a session and gives it a runner. One for which a kernel was
// started ahead has that kernel's id: its row is what makes the kernel its own.
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

// settings are what a request and its workgroup both have a say in.
type settings struct {
	engine     ergane.EngineConfiguration
	role       string
	monitoring json.RawMessage
}

// settingsOf fills what the request leaves open from the workgroup's settings, or,
// where these are enforced, the other way round.
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

// withDefaults fills what a configuration leaves open. Of the same Spark
// property in both, that of the defaults does not count.
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

// TerminateSession asks for the end of a session and returns its state: that
// of a session that has ended already does not change.
func (m *Manager) TerminateSession(ctx context.Context, id string) (ergane.SessionState, error) {
	s, moved, err := m.moveSession(ctx, ergane.SessionStopping(id, time.Now(), terminatedByRequest))
	if err != nil {
		return "", err
	}
	if moved {
		m.holdFor(id)
	}
	if s.Status.State == ergane.SessionTerminating {
		m.nudge(id) // a repeated call, too: the answer to the first may have been lost
	}
	return s.Status.State, nil
}

// holdFor makes reads of the ids worth holding from now on.
func (m *Manager) holdFor(ids ...string) {
	for _, id := range ids {
		m.hub.holdUntil(id, time.Now().Add(m.cfg.Hold))
	}
}
