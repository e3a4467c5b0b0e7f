package api

import (
	"context"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/athena"
	"github.com/ergane-dev/ergane/internal/awsjson"
	"github.com/ergane-dev/ergane/internal/session"
)

func (s *Service) startCalculationExecution(ctx context.Context, in *athena.StartCalculationExecutionRequest) (*athena.StartCalculationExecutionResponse, error) {
	code, err := codeBlock(in)
	if err != nil {
		return nil, err
	}
	params := *in
	params.ClientRequestToken = nil
	tokens, err := tokens(ctx, "StartCalculationExecution", in.ClientRequestToken, params)
	if err != nil {
		return nil, err
	}
	from := awsjson.CallerFrom(ctx)
	got, err := s.manager.StartCalculation(ctx, session.CalculationRequest{
		SessionID:   value(in.SessionId),
		Description: value(in.Description),
		Code:        code,
		Tokens:      tokens,
		RequestID:   from.RequestID,
		ReceivedAt:  from.ReceivedAt,
	})
	if err != nil {
		return nil, err
	}
	return &athena.StartCalculationExecutionResponse{
		CalculationExecutionId: &got.ID,
		State:                  new(athena.CalculationExecutionState(got.Status.State)),
	}, nil
}

// codeBlock reads the code from either of its two members; the nested one is
// deprecated, but the aws CLI can read it from a file.
func codeBlock(in *athena.StartCalculationExecutionRequest) (string, error) {
	var nested *string
	if in.CalculationConfiguration != nil {
		nested = in.CalculationConfiguration.CodeBlock
	}
	switch {
	case in.CodeBlock != nil && nested != nil:
		return "", ergane.Errorf(ergane.CodeInvalid, "Give either CodeBlock or CalculationConfiguration.CodeBlock, not both.")
	case in.CodeBlock != nil:
		return *in.CodeBlock, nil
	case nested != nil:
		return *nested, nil
	}
	return "", ergane.Errorf(ergane.CodeInvalid, "CodeBlock is required.")
}

func calculationKey(c ergane.Calculation) ergane.Key {
	return ergane.Key{At: c.Status.SubmittedAt, ID: c.ID}
}
