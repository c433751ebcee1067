-- Which months or batches can the answers be told apart by?
--
-- Months of the submission date where every response has one, otherwise batches (uploads); none where there is only
-- one. The newest 24 of them. begins: the first of the month, or when the batch was received, in UTC.
--
-- Reads: survey_responses. Order: the oldest first.
SELECT kind, period, begins
FROM (
    SELECT
        kind,
        period,
        begins,
        count(*) OVER (PARTITION BY kind) AS periods,
        row_number() OVER (PARTITION BY kind ORDER BY begins DESC, period DESC) AS from_the_last
    FROM (
        SELECT
            'month' AS kind,
            substr(CAST(date_trunc('month', submission_date) AS varchar(30)), 1, 7) AS period,
            CAST(date_trunc('month', submission_date) AS timestamp) AS begins
        FROM survey_responses
        WHERE NOT EXISTS (SELECT 1 FROM survey_responses AS undated WHERE undated.submission_date IS NULL)
        GROUP BY date_trunc('month', submission_date)
        UNION ALL
        SELECT
            'batch' AS kind,
            upload AS period,
            CAST(min(received_at) AS timestamp) AS begins
        FROM survey_responses
        WHERE EXISTS (SELECT 1 FROM survey_responses AS undated WHERE undated.submission_date IS NULL)
        GROUP BY upload
    ) AS possible
) AS numbered
WHERE periods > 1 AND from_the_last <= 24
ORDER BY begins, period
