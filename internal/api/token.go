package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/awsjson"
)

// tokens make a call idempotent: the client's own token, and the invocation id
// that an SDK sends with every attempt of one call. params is the call's input
// without its token.
func tokens(ctx context.Context, operation string, token *string, params any) ([]ergane.Token, error) {
	raw, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	hash := hex.EncodeToString(sum[:])
	who := awsjson.CallerFrom(ctx)
	scope := who.AccessKeyID + "/" + operation
	var all []ergane.Token
	if token != nil {
		all = append(all, ergane.Token{Scope: scope, Value: *token, Hash: hash})
	}
	if who.InvocationID != "" {
		// The hash is part of the scope: if a client uses an id with other
		// parameters, it is another call.
		all = append(all, ergane.Token{
			Scope: scope + "/attempt/" + hash, Value: who.InvocationID, Hash: hash,
			Until: time.Now().Add(implicitFor * time.Second),
		})
	}
	return all, nil
}
