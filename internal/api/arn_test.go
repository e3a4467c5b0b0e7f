package api

import (
	"testing"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/awsjson"
	"github.com/ergane-dev/ergane/internal/session"
)

func TestWhatAnARNNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		arn  string
		want session.Resource
		kind string // of the refusal
	}{
		{arn: "arn:aws:athena:us-east-1:000000000000:workgroup/primary", want: session.Resource{WorkGroup: "primary"}},
		{arn: "arn:aws-cn:athena:cn-north-1:123456789012:workgroup/a.b-c", want: session.Resource{WorkGroup: "a.b-c"}},
		{arn: "arn:aws:athena:us-east-1::workgroup/primary", want: session.Resource{WorkGroup: "primary"}},
		{arn: "arn:aws:athena:us-east-1:0:workgroup/w/session/s", want: session.Resource{WorkGroup: "w", Session: "s"}},
		{arn: "arn:aws:athena:us-east-1:0:workgroup/w/session/", kind: "ResourceNotFoundException"},
		{arn: "arn:aws:athena:us-east-1:0:datacatalog/x", kind: "ResourceNotFoundException"},
		{arn: "arn:aws:athena:us-east-1:0:capacity-reservation/x", kind: "ResourceNotFoundException"},
		{arn: "arn:aws:s3:us-east-1:0:workgroup/w", kind: "InvalidRequestException"},
		{arn: "workgroup/primary", kind: "InvalidRequestException"},
		{arn: "arn:aws:athena:us-east-1:0:", kind: "InvalidRequestException"},
		{arn: "::::::", kind: "InvalidRequestException"},
	} {
		got, err := parseARN(c.arn)
		kind := ""
		if e, ok := err.(*awsjson.Error); ok {
			kind = e.Type
		} else if err != nil {
			kind = errorOf(err).Type
		}
		if got != c.want || kind != c.kind {
			t.Errorf("%s: %+v, %q; want %+v, %q", c.arn, got, kind, c.want, c.kind)
		}
	}
}

func TestOnlyUnknownNamesBecomeResourceNotFound(t *testing.T) {
	t.Parallel()
	if e, ok := asResourceNotFound("arn", ergane.ErrWorkGroupNotFound()).(*awsjson.Error); !ok || e.Type != "ResourceNotFoundException" || e.Members["ResourceName"] != "arn" {
		t.Errorf("an unknown workgroup: %v", e)
	}
	no := ergane.Errorf(ergane.CodeInvalid, "no")
	if err := asResourceNotFound("arn", no); err != error(no) {
		t.Errorf("another refusal became %v", err)
	}
	if err := asResourceNotFound("arn", nil); err != nil {
		t.Errorf("success became %v", err)
	}
}
