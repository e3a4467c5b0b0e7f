package api

import (
	"strings"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/athena"
	"github.com/ergane-dev/ergane/internal/session"
)

// parseARN returns the resource that an ARN names:
//
//	arn:aws:athena:<region>:<account>:workgroup/<name>
//	arn:aws:athena:<region>:<account>:workgroup/<name>/session/<id>
//
// Partition, region and account are not checked: clients use those that they
// know from AWS, and all of them mean this server.
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

// resourceNotFound is the only modelled error that is not made from a domain
// error: only the operations on tags answer it.
func resourceNotFound(arn string) error {
	return athena.ResourceNotFoundException{Message: new("Resource " + arn + " was not found"), ResourceName: &arn}.Wire()
}

// asResourceNotFound turns the error for an unknown name or id into resourceNotFound.
func asResourceNotFound(arn string, err error) error {
	if ergane.CodeOf(err) == ergane.CodeNotFound {
		return resourceNotFound(arn)
	}
	return err
}
