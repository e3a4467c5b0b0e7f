// Package api implements the operations of Athena's API, one file per operation:
// each converts the wire shape to the domain, calls the session manager once, and
// converts the result back.
package api

import (
	"context"
	"log/slog"
	"net/http"

	"golang.org/x/time/rate"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/athena"
	"github.com/ergane-dev/ergane/internal/awsjson"
	"github.com/ergane-dev/ergane/internal/session"
)

// SigningName is the service in the scope of a signature.
const SigningName = "athena"

// A Service answers the API.
type Service struct {
	manager  *session.Manager
	verifier *awsjson.Verifier
	pageKey  []byte
	admit    func(awsjson.Caller) error
	begin    func(context.Context, awsjson.Caller)
	observe  func(awsjson.Answer)
	streams  streams
	log      *slog.Logger
}

// Config configures a Service.
type Config struct {
	Verifier *awsjson.Verifier
	// PageKey is the secret that page tokens are signed with; tokens are valid as long as it is the same.
	PageKey []byte
	// Rate is how many calls a second each key may make; 0 is no limit.
	Rate int
	// Begin is called before every request that is carried out. It may be nil.
	Begin func(context.Context, awsjson.Caller)
	// Observe is called after every request. It may be nil.
	Observe func(awsjson.Answer)
	Log     *slog.Logger
}

// New makes a Service.
func New(m *session.Manager, cfg Config) *Service {
	s := &Service{
		manager: m, verifier: cfg.Verifier, pageKey: cfg.PageKey, begin: cfg.Begin, observe: cfg.Observe, log: cfg.Log,
		streams: streams{byKey: map[string]int{}},
	}
	if cfg.Rate > 0 {
		s.admit = (&rates{perSecond: cfg.Rate, byKey: map[string]*rate.Limiter{}}).admit
	}
	return s
}

// Register adds the service's paths: POST / for the API's operations, and the
// live output of calculations.
func (s *Service) Register(mux *http.ServeMux) {
	h := awsjson.NewHandler(awsjson.Config{
		TargetPrefix: "AmazonAthena",
		Operations:   s.operations(),
		Verifier:     s.verifier,
		ErrorOf:      errorOf,
		Admit:        s.admit,
		Begin:        s.begin,
		Permit:       permit,
		About:        about,
		Observe:      s.observe,
		Log:          s.log,
	})
	mux.Handle("/", h)
	mux.Handle("GET /calculations/{id}/output", h.Stream(s.output()))
}

func (s *Service) operations() map[string]awsjson.Operation {
	ops := map[string]awsjson.Operation{}
	for _, op := range athena.Operations {
		ops[op.Name] = notOffered(op)
	}
	athena.Handle(ops, s.createWorkGroup)
	athena.Handle(ops, s.deleteWorkGroup)
	athena.Handle(ops, s.getCalculationExecution)
	athena.Handle(ops, s.getCalculationExecutionCode)
	athena.Handle(ops, s.getCalculationExecutionStatus)
	athena.Handle(ops, s.getSession)
	athena.Handle(ops, s.getSessionStatus)
	athena.Handle(ops, s.getWorkGroup)
	athena.Handle(ops, s.listApplicationDPUSizes)
	athena.Handle(ops, s.listCalculationExecutions)
	athena.Handle(ops, s.listEngineVersions)
	athena.Handle(ops, s.listExecutors)
	athena.Handle(ops, s.listSessions)
	athena.Handle(ops, s.listTagsForResource)
	athena.Handle(ops, s.listWorkGroups)
	athena.Handle(ops, s.startCalculationExecution)
	athena.Handle(ops, s.startSession)
	athena.Handle(ops, s.stopCalculationExecution)
	athena.Handle(ops, s.tagResource)
	athena.Handle(ops, s.terminateSession)
	athena.Handle(ops, s.untagResource)
	athena.Handle(ops, s.updateWorkGroup)
	return ops
}

// notOffered refuses an operation of the service model that Ergane does not implement.
func notOffered(op *athena.Operation) awsjson.Operation {
	refusal := ergane.Errorf(ergane.CodeInvalid, "%s is not offered by Ergane; docs/compatibility.md lists the operations that are.", op.Name)
	return awsjson.Operation{Handle: func(context.Context, any) (any, error) { return nil, refusal }}
}

// caller is the access key id that a request was signed with.
func caller(ctx context.Context) string { return awsjson.CallerFrom(ctx).AccessKeyID }

// implicitFor is how long a repeated call is recognised by its invocation id.
const implicitFor = 15 * 60 // seconds
