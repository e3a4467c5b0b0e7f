package api

import (
	"context"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/athena"
)

func (s *Service) listTagsForResource(ctx context.Context, in *athena.ListTagsForResourceInput) (*athena.ListTagsForResourceOutput, error) {
	arn := value(in.ResourceARN)
	of, err := parseARN(arn)
	if err != nil {
		return nil, err
	}
	p, err := s.page(in.MaxResults, 100, in.NextToken, "tags", arn)
	if err != nil {
		return nil, err
	}
	tags, err := s.manager.Tags(ctx, of)
	if err != nil {
		return nil, asResourceNotFound(arn, err)
	}
	key := func(t ergane.Tag) ergane.Key { return ergane.Key{ID: t.Key} }
	tags, next := cut(s, pageOf(tags, p, key), p, key, "tags", arn)
	out := &athena.ListTagsForResourceOutput{Tags: []athena.Tag{}, NextToken: next}
	for _, t := range tags {
		out.Tags = append(out.Tags, athena.Tag{Key: new(t.Key), Value: new(t.Value)})
	}
	return out, nil
}
