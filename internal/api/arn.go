package api

import (
	"strings"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/athena"
	"github.com/ergane-dev/ergane/internal/session"
)

// parseARN finds out what an ARN names:
//
//	arn:aws:athena:<region>:<account>:workgroup/<name>
//	arn:aws:athena:<region>:<account>:workgroup/<name>/session/<id>
//
// Any partition, region and account will do: clients put in what they know of
// AWS, and there is one server behind this address.
func parseARN(arn string) (session.Resource, error) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 || parts[0] != "arn" || parts[2] != "athena" || parts[5] == "" {
		return session.Resource{}, ergane.Errorf(ergane.CodeInvalid,
			"%s is not the ARN of an Athena resource, for instance arn:aws:athena:us-east-1:000000000000:workgroup/primary", clipped(arn, 100))
	}
	words := strings.Split(parts[5], "/")
	switch {
	case len(words) == 2 && words[0] == "workgroup":
		return session.Resource{WorkGroup: words[1]}, nil
	case len(words) == 4 && words[0] == "workgroup" && words[2] == "session" && words[3] != "":
		return session.Resource{WorkGroup: words[1], Session: words[3]}, nil
	}
	return session.Resource{}, resourceNotFound(arn)
}

// resourceNotFound is the one error of the API that is not the domain's: tags
// are the only operations that answer it.
func resourceNotFound(arn string) error {
	return athena.ResourceNotFoundException{Message: new("Resource " + arn + " was not found"), ResourceName: &arn}.Wire()
}

// absent turns the answer to an unknown name or id into that to an unknown resource.
func absent(arn string, err error) error {
	if ergane.CodeOf(err) == ergane.CodeNotFound {
		return resourceNotFound(arn)
	}
	return err
}
