package api

import (
	"context"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/athena"
)

func (s *Service) tagResource(ctx context.Context, in *athena.TagResourceInput) (*athena.TagResourceOutput, error) {
	err := s.retag(ctx, value(in.ResourceARN), func(tags []ergane.Tag) ([]ergane.Tag, error) {
		return ergane.WithTags(tags, tagsFrom(in.Tags))
	})
	if err != nil {
		return nil, err
	}
	return &athena.TagResourceOutput{}, nil
}

func (s *Service) retag(ctx context.Context, arn string, change func([]ergane.Tag) ([]ergane.Tag, error)) error {
	of, err := parseARN(arn)
	if err != nil {
		return err
	}
	return asResourceNotFound(arn, s.manager.Retag(ctx, of, change))
}
