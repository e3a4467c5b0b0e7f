package api

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/athena"
)

func TestAWorkGroupsConfigurationIsShownAsItWasGiven(t *testing.T) {
	t.Parallel()
	given := `{
		"ResultConfiguration": {"OutputLocation": "s3://b/p", "ExpectedBucketOwner": "000000000000",
			"EncryptionConfiguration": {"EncryptionOption": "SSE_KMS", "KmsKey": "k"}, "AclConfiguration": {"S3AclOption": "BUCKET_OWNER_FULL_CONTROL"}},
		"EnforceWorkGroupConfiguration": true, "PublishCloudWatchMetricsEnabled": false, "RequesterPaysEnabled": true,
		"BytesScannedCutoffPerQuery": 10000000, "AdditionalConfiguration": "x",
		"EngineVersion": {"SelectedEngineVersion": "AUTO"},
		"ExecutionRole": "arn:aws:iam::000000000000:role/r",
		"EngineConfiguration": {"CoordinatorDpuSize": 1, "MaxConcurrentDpus": 20, "SparkProperties": {"spark.a": "1"},
			"Classifications": [{"Name": "spark-defaults", "Properties": {"spark.b": "2"}}]},
		"MonitoringConfiguration": {"ManagedLoggingConfiguration": {"Enabled": true}}
	}`
	var in athena.WorkGroupConfiguration
	if err := json.Unmarshal([]byte(given), &in); err != nil {
		t.Fatal(err)
	}
	kept, err := configurationFrom(&in)
	if err != nil {
		t.Fatal(err)
	}
	out, err := configurationTo(kept)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in, *out); diff != "" {
		t.Errorf("given and shown differ (-given +shown):\n%s", diff)
	}
}

func TestStatisticsAreNeverEmpty(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(calculationStatistics(ergane.CalculationStatistics{}))
	if want := `{"DpuExecutionInMillis":0}`; err != nil || string(raw) != want {
		t.Errorf("got %s, %v, want %s", raw, err, want)
	}
}

func TestTheCodeBlockIsReadFromEitherMemberButNotBoth(t *testing.T) {
	t.Parallel()
	code := "pass"
	nested := &athena.CalculationConfiguration{CodeBlock: &code}
	for _, c := range []struct {
		in athena.StartCalculationExecutionRequest
		ok bool
	}{
		{athena.StartCalculationExecutionRequest{CodeBlock: &code}, true},
		{athena.StartCalculationExecutionRequest{CalculationConfiguration: nested}, true},
		{athena.StartCalculationExecutionRequest{CodeBlock: &code, CalculationConfiguration: nested}, false},
		{athena.StartCalculationExecutionRequest{CalculationConfiguration: &athena.CalculationConfiguration{}}, false},
		{athena.StartCalculationExecutionRequest{}, false},
	} {
		got, err := codeBlock(&c.in)
		if c.ok != (err == nil) || c.ok && got != code || !c.ok && ergane.CodeOf(err) != ergane.CodeInvalid {
			t.Errorf("%+v: %q, %v", c.in, got, err)
		}
	}
}
