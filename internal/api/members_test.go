package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/ergane-dev/ergane/internal/athena"
	"github.com/ergane-dev/ergane/internal/awsjson"
)

// The tests here send, for every member of every operation at any depth, all
// deviations that deviations_test.go derives from the service model. They include
// newly offered operations automatically. If the valid request of one needs more
// than an existing session, calculation and workgroup, add it to valid; if it has
// refusals of its own, add them to refusals.

// valid are members that make requests valid, as JSON, beyond those that the
// model requires. FRESH is another name in each request.
var valid = map[string]map[string]string{
	"StartCalculationExecution": {"CodeBlock": `"print x"`},
	"CreateWorkGroup":           {"Name": `"FRESH"`},
	"UpdateWorkGroup":           {"WorkGroup": `"FRESH"`},
	"DeleteWorkGroup":           {"WorkGroup": `"FRESH"`},
	"TagResource":               {"ResourceARN": primaryARN, "Tags": `[{"Key": "k", "Value": "v"}]`},
	"UntagResource":             {"ResourceARN": primaryARN},
	"ListTagsForResource":       {"ResourceARN": primaryARN},
}

const primaryARN = `"arn:aws:athena:us-east-1:000000000000:workgroup/primary"`

// needsWorkGroup are the operations before which the workgroup FRESH is made.
var needsWorkGroup = map[string]bool{"UpdateWorkGroup": true, "DeleteWorkGroup": true}

// refusals are the errors with which requests that the model allows may be
// answered because of their meaning.
var refusals = regexp.MustCompile(`(?s)^(` + strings.Join([]string{
	`Session .* was not found`,
	`Calculation .* was not found`,
	`WorkGroup is not found\.`,
	`WorkGroup is already created`,
	`Engine version .* is not offered\.`,
	`The nextPageToken is malformed: .*`,
	`CodeBlock is required\.`,
	`Give either CodeBlock or CalculationConfiguration\.CodeBlock, not both\.`,
	`A tag needs a key\.`,
	`The tag key ".*" is given twice\.`,
	`There would be \d+ tags; a resource has at most 50\.`,
	`EncryptionOption CSE_KMS is not offered; use SSE_S3 or SSE_KMS\.`,
	`KmsKey is required with EncryptionOption SSE_KMS\.`,
	`.* is not the ARN of an Athena resource, for instance .*`,
	`Resource .* was not found`,
	`OutputLocation ".*" is not an s3:// address, for instance s3://my-bucket/results`,
}, "|") + `)$`)

func TestEveryDeviationInEveryMemberOfWhatIsOffered(t *testing.T) {
	t.Parallel()
	for name, op := range (&Service{}).operations() {
		if op.Input == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withHarness(t, func(h *harness) {
				values := h.fill()
				for i, d := range deviations(name, valid[name], values) {
					fresh := fmt.Sprintf("w%d", i)
					if needsWorkGroup[name] {
						h.expect("CreateWorkGroup", `{"Name":"`+fresh+`"}`)
					}
					w := h.call(name, strings.ReplaceAll(d.body, "FRESH", fresh))
					if err := judge(name, d, w); err != nil {
						t.Errorf("%s at %q, %s:\nsent  %.300s\ngot   %d %.600s\n%v", name, d.path, d.name, d.body, w.Code, w.Body, err)
					}
					synctest.Wait() // a session that got code is IDLE again
				}
			})
		})
	}
}

// Operations that are not offered yet are decoded as well.
func TestEveryDeviationInEveryMemberOfTheModelDecodesAsItShould(t *testing.T) {
	t.Parallel()
	for _, op := range athena.Operations {
		t.Run(op.Name, func(t *testing.T) {
			t.Parallel()
			for _, d := range deviations(op.Name, nil, nil) {
				_, err := awsjson.Decode(op.Input, []byte(d.body))
				var got verdict
				if e, ok := errors.AsType[*awsjson.Error](err); ok {
					got = verdict{unreadable: e.Type == "SerializationException", message: e.Message}
				}
				message := got.message
				if v, ok := errors.AsType[*awsjson.ValidationError](err); ok {
					message = v.Message
				}
				if message != d.want.text() || got.unreadable != d.want.unreadable {
					t.Errorf("%s at %q, %s:\nsent  %.300s\ngot   %.600v\nwant  %.600s (unreadable: %t)", op.Name, d.path, d.name, d.body, err, d.want.text(), d.want.unreadable)
				}
			}
		})
	}
}

// fill makes a session and a calculation, and returns valid strings, as
// JSON, by the name of their shape.
func (h *harness) fill() map[string]string {
	h.Helper()
	var s struct{ SessionId string }
	var c struct{ CalculationExecutionId string }
	h.read(h.expect("StartSession", `{"WorkGroup":"primary","EngineConfiguration":{}}`), &s)
	synctest.Wait()
	h.read(h.expect("StartCalculationExecution", `{"SessionId":"`+s.SessionId+`","CodeBlock":"print x"}`), &c)
	synctest.Wait()
	return map[string]string{
		"SessionId":              quoted(s.SessionId),
		"CalculationExecutionId": quoted(c.CalculationExecutionId),
		"WorkGroupName":          `"primary"`,
		"AmazonResourceName":     `"arn:aws:athena:us-east-1:000000000000:workgroup/primary"`,
		"NameString":             `"AUTO"`,
		"ResultOutputLocation":   `"s3://bucket/prefix"`,
	}
}

// expect sends a request that has to succeed.
func (h *harness) expect(operation, body string) *httptest.ResponseRecorder {
	h.Helper()
	w := h.call(operation, body)
	if w.Code != 200 {
		h.Fatalf("%s %s: %d %s", operation, body, w.Code, w.Body)
	}
	return w
}

func (h *harness) read(w *httptest.ResponseRecorder, v any) {
	h.Helper()
	if err := json.Unmarshal(w.Body.Bytes(), v); err != nil {
		h.Fatal(err)
	}
}

// judge compares the answer to a deviation with the verdict on it.
func judge(operation string, d deviation, w *httptest.ResponseRecorder) error {
	e, err := wireRules(operation, w)
	if err != nil {
		return err
	}
	switch {
	case d.want.unreadable:
		if e == nil || e.Type != "SerializationException" || e.Message != d.want.message {
			return fmt.Errorf("want  SerializationException: %s", d.want.message)
		}
	case d.want.violations != nil:
		if e == nil || e.Type != "InvalidRequestException" || e.Message != d.want.text() {
			return fmt.Errorf("want  InvalidRequestException: %s", d.want.text())
		}
	case e != nil && d.path == "":
		return errors.New("want  success: is this a valid request?")
	case e != nil && (e.Type != "InvalidRequestException" && e.Type != "ResourceNotFoundException" || !refusals.MatchString(e.Message)):
		return errors.New("want  success, or a refusal that this test knows")
	}
	return nil
}

// A wireError is an error as clients read it.
type wireError struct {
	Type                                string `json:"__type"`
	Message, AthenaErrorCode, ErrorCode string
	Reason, ResourceName                string
}

// wireRules checks what is true of every answer to an operation, and returns
// the error that it is, or nil.
func wireRules(operation string, w *httptest.ResponseRecorder) (*wireError, error) {
	if got := w.Header().Get("Content-Type"); got != "application/x-amz-json-1.1" {
		return nil, fmt.Errorf("content type is %q", got)
	}
	if id := map[string][]string(w.Header())[requestIDHeader]; len(id) != 1 || len(id[0]) != 36 {
		return nil, fmt.Errorf("request id is %q", id)
	}
	if w.Code == 200 {
		return nil, theModel.obeys(theModel.Operations[operation].Output.Shape, w.Body.Bytes())
	}
	dec := json.NewDecoder(strings.NewReader(w.Body.String()))
	dec.DisallowUnknownFields()
	var e wireError
	if err := dec.Decode(&e); err != nil {
		return nil, err
	}
	switch {
	case w.Code != 400:
		return nil, fmt.Errorf("status is %d", w.Code)
	case e.Type == "SerializationException":
	case !theModel.mayAnswer(operation, e.Type):
		return nil, fmt.Errorf("%s may not answer with %s", operation, e.Type)
	case e.Type == "InvalidRequestException" && (e.AthenaErrorCode == "" || e.ErrorCode != e.AthenaErrorCode):
		return nil, fmt.Errorf("AthenaErrorCode is %q, ErrorCode %q", e.AthenaErrorCode, e.ErrorCode)
	case e.Message == "":
		return nil, errors.New("no message")
	}
	return &e, nil
}

const requestIDHeader = "x-amzn-RequestId"
