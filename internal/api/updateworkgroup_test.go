package api

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ergane-dev/ergane/internal/athena"
)

const fullConfiguration = `{
	"AdditionalConfiguration": "a", "BytesScannedCutoffPerQuery": 10000000,
	"CustomerContentEncryptionConfiguration": {"KmsKey": "k"}, "EnableMinimumEncryptionConfiguration": true,
	"EnforceWorkGroupConfiguration": true, "EngineConfiguration": {"MaxConcurrentDpus": 4},
	"EngineVersion": {"SelectedEngineVersion": "AUTO"}, "ExecutionRole": "r",
	"ManagedQueryResultsConfiguration": {"Enabled": true, "EncryptionConfiguration": {"KmsKey": "k"}},
	"MonitoringConfiguration": {"ManagedLoggingConfiguration": {"Enabled": true}},
	"PublishCloudWatchMetricsEnabled": true, "QueryResultsS3AccessGrantsConfiguration": {"EnableS3AccessGrants": true, "AuthenticationType": "DIRECTORY_IDENTITY"},
	"RequesterPaysEnabled": true,
	"ResultConfiguration": {"OutputLocation": "s3://b", "ExpectedBucketOwner": "000000000000",
		"EncryptionConfiguration": {"EncryptionOption": "SSE_S3"}, "AclConfiguration": {"S3AclOption": "BUCKET_OWNER_FULL_CONTROL"}}
}`

// changed is fullConfiguration after an update, as JSON: through the domain, as a stored one comes back.
func changed(t *testing.T, from, updates string) map[string]any {
	t.Helper()
	var c athena.WorkGroupConfiguration
	var u athena.WorkGroupConfigurationUpdates
	parse(t, from, &c)
	parse(t, updates, &u)
	kept, err := configurationFrom(&c)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := configurationTo(kept)
	if err != nil {
		t.Fatal(err)
	}
	update(shown, &u)
	if kept, err = configurationFrom(shown); err != nil {
		t.Fatal(err)
	}
	if shown, err = configurationTo(kept); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(shown)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	parse(t, string(raw), &out)
	return out
}

func parse(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatal(err)
	}
}

func TestAnUpdateChangesWhatItNamesAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ updates, want string }{
		{`{}`, `{}`},
		{`{"AdditionalConfiguration": "b"}`, `{"AdditionalConfiguration": "b"}`},
		{`{"BytesScannedCutoffPerQuery": 20000000}`, `{"BytesScannedCutoffPerQuery": 20000000}`},
		{`{"RemoveBytesScannedCutoffPerQuery": true}`, `{"BytesScannedCutoffPerQuery": null}`},
		{`{"RemoveBytesScannedCutoffPerQuery": false}`, `{}`},
		{`{"RemoveBytesScannedCutoffPerQuery": true, "BytesScannedCutoffPerQuery": 1}`, `{"BytesScannedCutoffPerQuery": 1}`},
		{`{"CustomerContentEncryptionConfiguration": {"KmsKey": "l"}}`, `{"CustomerContentEncryptionConfiguration": {"KmsKey": "l"}}`},
		{`{"RemoveCustomerContentEncryptionConfiguration": true}`, `{"CustomerContentEncryptionConfiguration": null}`},
		{`{"EnableMinimumEncryptionConfiguration": false}`, `{"EnableMinimumEncryptionConfiguration": false}`},
		{`{"EnforceWorkGroupConfiguration": false}`, `{"EnforceWorkGroupConfiguration": false}`},
		{`{"EngineConfiguration": {"CoordinatorDpuSize": 1}}`, `{"EngineConfiguration": {"CoordinatorDpuSize": 1}}`},
		{`{"EngineVersion": {"SelectedEngineVersion": "x"}}`, `{"EngineVersion": {"SelectedEngineVersion": "x"}}`},
		{`{"ExecutionRole": "q"}`, `{"ExecutionRole": "q"}`},
		{`{"MonitoringConfiguration": {}}`, `{"MonitoringConfiguration": {}}`},
		{`{"PublishCloudWatchMetricsEnabled": false}`, `{"PublishCloudWatchMetricsEnabled": false}`},
		{`{"QueryResultsS3AccessGrantsConfiguration": {"EnableS3AccessGrants": false}}`, `{"QueryResultsS3AccessGrantsConfiguration": {"EnableS3AccessGrants": false}}`},
		{`{"RequesterPaysEnabled": false}`, `{"RequesterPaysEnabled": false}`},
		{`{"ManagedQueryResultsConfigurationUpdates": {"RemoveEncryptionConfiguration": true}}`, `{"ManagedQueryResultsConfiguration": {"Enabled": true}}`},
		{`{"ManagedQueryResultsConfigurationUpdates": {"Enabled": false}}`, `{"ManagedQueryResultsConfiguration": {"Enabled": false, "EncryptionConfiguration": {"KmsKey": "k"}}}`},
		{`{"ResultConfigurationUpdates": {"OutputLocation": "s3://c"}}`, `{"ResultConfiguration": {"OutputLocation": "s3://c", "ExpectedBucketOwner": "000000000000",
			"EncryptionConfiguration": {"EncryptionOption": "SSE_S3"}, "AclConfiguration": {"S3AclOption": "BUCKET_OWNER_FULL_CONTROL"}}}`},
		{`{"ResultConfigurationUpdates": {"RemoveOutputLocation": true, "RemoveExpectedBucketOwner": true, "RemoveEncryptionConfiguration": true, "RemoveAclConfiguration": true}}`,
			`{"ResultConfiguration": {}}`},
	} {
		want := changed(t, fullConfiguration, `{}`)
		var edits map[string]any
		parse(t, c.want, &edits)
		for member, v := range edits {
			if want[member] = v; v == nil {
				delete(want, member)
			}
		}
		if diff := cmp.Diff(want, changed(t, fullConfiguration, c.updates)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.updates, diff)
		}
	}
}

// TestEveryMemberOfAnUpdateHasItsEffect keeps a member that a newer service
// model brings from being forgotten: each one alone changes something.
func TestEveryMemberOfAnUpdateHasItsEffect(t *testing.T) {
	t.Parallel()
	var c athena.WorkGroupConfiguration
	parse(t, fullConfiguration, &c)
	c.ResultConfiguration = &athena.ResultConfiguration{}
	for i := range reflect.TypeFor[athena.WorkGroupConfigurationUpdates]().NumField() {
		var u athena.WorkGroupConfigurationUpdates
		field := reflect.ValueOf(&u).Elem().Field(i)
		name := reflect.TypeOf(u).Field(i).Name
		field.Set(reflect.New(field.Type().Elem()))
		switch v := field.Elem(); {
		case v.Kind() == reflect.Bool && name[:6] == "Remove":
			v.SetBool(true)
		case name == "ResultConfigurationUpdates":
			u.ResultConfigurationUpdates.OutputLocation = new("s3://new")
		case name == "ManagedQueryResultsConfigurationUpdates":
			u.ManagedQueryResultsConfigurationUpdates.Enabled = new(false)
		}
		before, after := c, c
		before.ResultConfiguration, after.ResultConfiguration = &athena.ResultConfiguration{}, &athena.ResultConfiguration{}
		after.ManagedQueryResultsConfiguration = new(*c.ManagedQueryResultsConfiguration)
		update(&after, &u)
		if cmp.Equal(before, after) {
			t.Errorf("%s changes nothing", name)
		}
	}
}
