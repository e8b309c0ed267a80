"""Queries: what serving asks Dagster over GraphQL.

Here: the documents, which tests check against Dagster's schema. Not here: asking them, or the shapes of the answers
(`dagster_client`).
"""

FIND_JOB = """
query ServingFindJob {
  repositoriesOrError {
    __typename
    ... on RepositoryConnection { nodes { name location { name } jobs { name } } }
    ... on PythonError { message }
  }
}"""

FIND_LABELLED_MONTHS = """
query ServingLabelledMonths($asset: AssetKeyInput!) {
  assetNodeOrError(assetKey: $asset) {
    __typename
    ... on AssetNode {
      assetPartitionStatuses {
        __typename
        ... on TimePartitionStatuses { ranges { startKey endKey status } }
        ... on DefaultPartitionStatuses { materializedPartitions }
      }
    }
  }
}"""

LAUNCH = """
mutation ServingLaunch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on Error { message }
  }
}"""

FIND_RUN = """
query ServingRun($id: ID!) {
  runOrError(runId: $id) {
    __typename
    ... on Run {
      runId jobName status
      tags { key value }
      assetMaterializations {
        assetKey { path }
        metadataEntries {
          label
          ... on IntMetadataEntry { intValue }
          ... on FloatMetadataEntry { floatValue }
          ... on BoolMetadataEntry { boolValue }
          ... on TextMetadataEntry { text }
        }
      }
    }
    ... on PythonError { message }
  }
}"""
