package api

import (
	"context"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/athena"
)

func (s *Service) untagResource(ctx context.Context, in *athena.UntagResourceInput) (*athena.UntagResourceOutput, error) {
	err := s.retag(ctx, value(in.ResourceARN), func(tags []ergane.Tag) ([]ergane.Tag, error) {
		return ergane.WithoutTags(tags, in.TagKeys), nil
	})
	if err != nil {
		return nil, err
	}
	return &athena.UntagResourceOutput{}, nil
}
