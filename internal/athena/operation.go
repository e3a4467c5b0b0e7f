package athena

import (
	"context"

	"github.com/ergane-dev/ergane/internal/awsjson"
)

// An Operation is one row of the model's table of operations.
type Operation struct {
	Name   string
	Input  *awsjson.Shape
	Errors []string // the names of the modelled errors it may answer with
}

// Handle sets do as the implementation of the operation that takes In and
// returns Out; the compiler refuses a pair that no operation has.
func Handle[In, Out any, P interface {
	*In
	operation(*Out) *Operation
}](to map[string]awsjson.Operation, do func(context.Context, P) (*Out, error)) {
	op := P(nil).operation(nil)
	to[op.Name] = awsjson.Operation{
		Input: op.Input,
		Handle: func(ctx context.Context, in any) (any, error) {
			out, err := do(ctx, in.(P))
			if err != nil {
				return nil, err // not the nil *Out, which is no nil any
			}
			return out, nil
		},
	}
}
