package api

import (
	"context"
	"fmt"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/athena"
)

func (s *Service) getSession(ctx context.Context, in *athena.GetSessionRequest) (*athena.GetSessionResponse, error) {
	got, err := s.manager.Session(ctx, caller(ctx), value(in.SessionId))
	if err != nil {
		return nil, err
	}
	return sessionOf(got)
}

func sessionOf(s ergane.Session) (*athena.GetSessionResponse, error) {
	monitoring, err := monitoringTo(s.Monitoring)
	if err != nil {
		return nil, fmt.Errorf("read the monitoring of session %s: %w", s.ID, err)
	}
	return &athena.GetSessionResponse{
		SessionId:               &s.ID,
		WorkGroup:               &s.WorkGroup,
		Description:             present(s.Description),
		EngineVersion:           present(s.EngineVersion.Effective),
		EngineConfiguration:     engineTo(s.Engine),
		NotebookVersion:         present(s.NotebookVersion),
		MonitoringConfiguration: monitoring,
		SessionConfiguration: &athena.SessionConfiguration{
			ExecutionRole:               present(s.ExecutionRole),
			WorkingDirectory:            &s.WorkingDirectory,
			IdleTimeoutSeconds:          new(int64(s.IdleTimeout.Seconds())),
			SessionIdleTimeoutInMinutes: new(int(s.IdleTimeout.Minutes())),
			EncryptionConfiguration:     encryptionTo(s.Encryption),
		},
		Status:     sessionStatus(s.Status),
		Statistics: &athena.SessionStatistics{DpuExecutionInMillis: &s.DpuMillis},
	}, nil
}
