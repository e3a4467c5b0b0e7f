package athena_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane/internal/athena"
	"github.com/ergane-dev/ergane/internal/awsjson"
)

func TestOperationsAreThoseOfTheModel(t *testing.T) {
	t.Parallel()
	if len(athena.Operations) != 75 {
		t.Errorf("%d operations", len(athena.Operations))
	}
	for _, op := range athena.Operations {
		if len(op.Errors) < 2 || op.Errors[0] != "InternalServerException" {
			t.Errorf("%s may answer with %v", op.Name, op.Errors)
		}
	}
}

// awsjson fills the fields of a struct by the place of a member in its shape.
func TestShapesMatchTheStructs(t *testing.T) {
	t.Parallel()
	for _, op := range athena.Operations {
		matches(t, op.Name, op.Input, reflect.TypeOf(op.Input.New()).Elem())
	}
}

func matches(t *testing.T, at string, s *awsjson.Shape, typ reflect.Type) {
	t.Helper()
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	want := map[awsjson.Kind]reflect.Kind{
		awsjson.Structure: reflect.Struct, awsjson.List: reflect.Slice, awsjson.Map: reflect.Map, awsjson.String: reflect.String,
		awsjson.Integer: reflect.Int, awsjson.Long: reflect.Int64, awsjson.Boolean: reflect.Bool,
	}[s.Kind]
	if typ.Kind() != want {
		t.Fatalf("%s: kind %d has the Go type %s", at, s.Kind, typ)
	}
	switch s.Kind {
	case awsjson.Structure:
		if typ.NumField() != len(s.Members) {
			t.Fatalf("%s has %d fields and %d members", at, typ.NumField(), len(s.Members))
		}
		for i, m := range s.Members {
			if tag := typ.Field(i).Tag.Get("json"); tag != m.Name+",omitzero" {
				t.Errorf("%s.%s has the tag %q", at, m.Name, tag)
			}
			matches(t, at+"."+m.Name, m.Shape, typ.Field(i).Type)
		}
	case awsjson.List:
		matches(t, at+"[]", s.Element, typ.Elem())
	case awsjson.Map:
		matches(t, at+" key", s.Key, typ.Key())
		matches(t, at+" value", s.Element, typ.Elem())
	}
}

func input(t *testing.T, operation string) *awsjson.Shape {
	t.Helper()
	for _, op := range athena.Operations {
		if op.Name == operation {
			return op.Input
		}
	}
	t.Fatalf("no operation %s", operation)
	return nil
}

func TestEverythingThatClientsSendIsAccepted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ operation, body string }{
		{"StartSession", `{"WorkGroup":"primary","EngineConfiguration":{}}`},
		{"StartSession", `{"WorkGroup":"primary","EngineConfiguration":{"CoordinatorDpuSize":1,"MaxConcurrentDpus":2,"DefaultExecutorDpuSize":1,"SparkProperties":{}}}`},
		{"StartSession", `{"WorkGroup":"notebook-workgroup","EngineConfiguration":{"CoordinatorDpuSize":1,"MaxConcurrentDpus":20,"DefaultExecutorDpuSize":1,` +
			`"AdditionalConfigs":{"NotebookId":"b8f5854b-1042-4b90-9d82-51d3c2fd5c04"},"Classifications":[{"Name":"spark-defaults","Properties":{"spark.sql.x":"y"}}]},` +
			`"NotebookVersion":"KeplerJupyter-1.x","SessionIdleTimeoutInMinutes":20,"ClientRequestToken":"d646ff46-32d2-42f0-94d1-d060ec3e5d78",` +
			`"ExecutionRole":"arn:aws:iam::000000000000:role/x","Tags":[{"Key":"a","Value":""}],"CopyWorkGroupTags":false,` +
			`"MonitoringConfiguration":{"CloudWatchLoggingConfiguration":{"Enabled":true,"LogGroup":"/aws/x","LogTypes":{"SPARK_DRIVER":["STDOUT","STDERR"]}}}}`},
		{"StartCalculationExecution", `{"SessionId":"x","CodeBlock":"` + strings.Repeat("é", 68000) + `"}`},
		{"StartCalculationExecution", `{"SessionId":"x","CalculationConfiguration":{"CodeBlock":"1"}}`},
		{"ListSessions", `{"WorkGroup":"primary","StateFilter":"IDLE","MaxResults":100}`},
		{"CreateWorkGroup", `{"Name":"a.b_c-1","Configuration":{"EngineVersion":{"SelectedEngineVersion":"PySpark engine version 3"},` +
			`"ResultConfiguration":{"OutputLocation":"s3://b/p","EncryptionConfiguration":{"EncryptionOption":"SSE_S3"}},"BytesScannedCutoffPerQuery":10000000}}`},
		{"CreateNotebook", `{"WorkGroup":"w","Name":"a name, with (odd) characters 😀"}`},
	} {
		if _, err := awsjson.Decode(input(t, c.operation), []byte(c.body)); err != nil {
			t.Errorf("%s %.100s: %v", c.operation, c.body, err)
		}
	}
}

func TestWhatBreaksTheModelIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ operation, body, want string }{
		{"StartSession", `{}`, "2 validation errors detected: Value null at 'engineConfiguration' failed to satisfy constraint: Member must not be null; " +
			"Value null at 'workGroup' failed to satisfy constraint: Member must not be null"},
		{"StartSession", `{"WorkGroup":"a b","EngineConfiguration":{"CoordinatorDpuSize":2}}`,
			"2 validation errors detected: Value at 'engineConfiguration.coordinatorDpuSize' failed to satisfy constraint: Member must have value less than or equal to 1; " +
				"Value at 'workGroup' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9._-]{1,128}"},
		{"StartSession", `{"WorkGroup":"w","EngineConfiguration":{"SparkProperties":{"":"x"}}}`,
			"1 validation error detected: Value at 'engineConfiguration.sparkProperties' failed to satisfy constraint: Map keys must satisfy constraint: " +
				"[Member must have length less than or equal to 255, Member must have length greater than or equal to 1, " +
				`Member must satisfy regular expression pattern: [\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*]`},
		{"StartSession", `{"WorkGroup":"w","EngineConfiguration":{},"Tags":[{"Key":"k"},{"Key":""}]}`,
			"1 validation error detected: Value at 'tags.2.member.key' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"StartCalculationExecution", `{"SessionId":"x","CodeBlock":"` + strings.Repeat("a", 68001) + `"}`,
			"1 validation error detected: Value at 'codeBlock' failed to satisfy constraint: Member must have length less than or equal to 68000"},
		{"StartCalculationExecution", `{"SessionId":"x","ClientRequestToken":"short"}`,
			"1 validation error detected: Value at 'clientRequestToken' failed to satisfy constraint: Member must have length greater than or equal to 32"},
		{"ListWorkGroups", `{"MaxResults":51}`, "1 validation error detected: Value at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 50"},
		{"ListSessions", `{"WorkGroup":"w","StateFilter":"idle"}`, "1 validation error detected: Value at 'stateFilter' failed to satisfy constraint: " +
			"Member must satisfy enum value set: [CREATING, CREATED, IDLE, BUSY, TERMINATING, TERMINATED, DEGRADED, FAILED]"},
		{"CreateNotebook", `{"WorkGroup":"w","Name":"a/b"}`, "1 validation error detected: Value at 'name' failed to satisfy constraint: " +
			`Member must satisfy regular expression pattern: (?!.*[/:\\])[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]+`},
		{"GetDataCatalog", `{"Name":"a\n"}`, "1 validation error detected: Value at 'name' failed to satisfy constraint: " +
			`Member must satisfy regular expression pattern: [\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*`},
	} {
		_, err := awsjson.Decode(input(t, c.operation), []byte(c.body))
		var invalid *awsjson.ValidationError
		if !errors.As(err, &invalid) || invalid.Message != c.want {
			t.Errorf("%s %.100s:\n got %.400v\nwant %s", c.operation, c.body, err, c.want)
		}
	}
}

func TestHandleJoinsAnOperationAndItsTypes(t *testing.T) {
	t.Parallel()
	ops := map[string]awsjson.Operation{}
	athena.Handle(ops, func(_ context.Context, in *athena.GetSessionStatusRequest) (*athena.GetSessionStatusResponse, error) {
		if *in.SessionId == "unknown" {
			return nil, errors.New("not found")
		}
		return &athena.GetSessionStatusResponse{SessionId: in.SessionId, Status: &athena.SessionStatus{
			State: new(athena.SessionStateIdle), StartDateTime: awsjson.Timestamp(time.UnixMilli(1700000000123)),
		}}, nil
	})
	op := ops["GetSessionStatus"]
	in, err := awsjson.Decode(op.Input, []byte(`{"SessionId":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	out, err := op.Handle(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(out)
	if want := `{"SessionId":"x","Status":{"StartDateTime":1700000000.123,"State":"IDLE"}}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	in.(*athena.GetSessionStatusRequest).SessionId = new("unknown")
	if out, err := op.Handle(context.Background(), in); out != nil || err == nil {
		t.Errorf("got %v, %v", out, err)
	}
}

func TestListsGoOutEmptyOrNotAtAll(t *testing.T) {
	t.Parallel()
	for want, out := range map[string]any{
		`{"Sessions":[]}`: athena.ListSessionsResponse{Sessions: []athena.SessionSummary{}},
		`{}`:              athena.ListSessionsResponse{},
	} {
		if got, err := json.Marshal(out); err != nil || string(got) != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
}

func TestErrorsGoOutAsModelled(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]*awsjson.Error{
		`{"__type":"InvalidRequestException","AthenaErrorCode":"INVALID_INPUT","Message":"m <"}`: athena.InvalidRequestException{AthenaErrorCode: new("INVALID_INPUT"), Message: new("m <")}.Wire(),
		`{"__type":"TooManyRequestsException","Message":"m","Reason":"CONCURRENT_QUERY_LIMIT_EXCEEDED"}`: athena.TooManyRequestsException{
			Message: new("m"), Reason: new(athena.ThrottleReasonConcurrentQueryLimitExceeded)}.Wire(),
	} {
		if got, _ := e.MarshalJSON(); string(got) != want || e.Status != 400 {
			t.Errorf("got %d %s, want %s", e.Status, got, want)
		}
	}
	if got := (athena.InternalServerException{}).Wire().Status; got != 500 {
		t.Errorf("InternalServerException has the status %d", got)
	}
}
