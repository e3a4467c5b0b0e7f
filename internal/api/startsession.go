package api

import (
	"context"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/athena"
	"github.com/ergane-dev/ergane/internal/awsjson"
	"github.com/ergane-dev/ergane/internal/session"
)

func (s *Service) startSession(ctx context.Context, in *athena.StartSessionRequest) (*athena.StartSessionResponse, error) {
	params := *in
	params.ClientRequestToken = nil
	tokens, err := tokens(ctx, "StartSession", in.ClientRequestToken, params)
	if err != nil {
		return nil, err
	}
	monitoring, err := monitoringFrom(in.MonitoringConfiguration)
	if err != nil {
		return nil, err
	}
	got, err := s.manager.StartSession(ctx, caller(ctx), session.StartRequest{
		WorkGroup:       value(in.WorkGroup),
		Description:     value(in.Description),
		Engine:          engineFrom(in.EngineConfiguration),
		ExecutionRole:   value(in.ExecutionRole),
		IdleTimeout:     time.Duration(value(in.SessionIdleTimeoutInMinutes)) * time.Minute,
		NotebookVersion: value(in.NotebookVersion),
		Tags:            tagsFrom(in.Tags),
		OwnTagsOnly:     in.CopyWorkGroupTags != nil && !*in.CopyWorkGroupTags,
		Monitoring:      monitoring,
		Tokens:          tokens,
		RequestID:       awsjson.CallerFrom(ctx).RequestID,
	})
	if err != nil {
		return nil, err
	}
	return &athena.StartSessionResponse{SessionId: &got.ID, State: new(athena.SessionState(got.Status.State))}, nil
}

func sessionKey(s ergane.Session) ergane.Key { return ergane.Key{At: s.Status.StartedAt, ID: s.ID} }
