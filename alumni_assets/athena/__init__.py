"""The tables below the approval as views in AWS Athena, for analysts who query there: `ALUMNI_WAREHOUSE=athena`."""
