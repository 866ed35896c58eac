"""The steps of the collection's story about webhooks. Nothing is sent anywhere: the webhook that they make is disabled."""

from __future__ import annotations

from documents.steps import Step

WEBHOOKS = (
    Step(
        "POST /webhooks",
        "Make a webhook",
        "It would be told what breaks and what is mended, of the jobs of one name. It is made disabled, so that nothing is sent from here.",
        status=201,
        body={
            "url": "https://example.org/alarm",
            "on": ["broken", "mended"],
            "filter": {"name": "nightly-backup"},
            "enabled": False,
        },
        after='pm.collectionVariables.set("webhookId", pm.response.json().webhookId);',
        checks={
            "it says where the webhook is": 'pm.response.to.have.header("Location", "/webhooks/" + answer.webhookId)',
            "its secret is shown this once": "pm.expect(answer.secret).to.match(/^whsec_/)",
        },
    ),
    Step(
        "POST /webhooks",
        "Get a webhook wrong",
        "An address of this machine is not called, unless the server is told to.",
        status=400,
        body={"url": "http://localhost:9/alarm", "on": ["broken"]},
        checks={"the setting is named": 'pm.expect(answer.error).to.include("JOBMGR_WEBHOOK_HOSTS")'},
    ),
    Step("GET /webhooks", "List webhooks", checks={"there are some": "pm.expect(answer).to.not.be.empty"}),
    Step(
        "GET /webhooks/{webhook}",
        "Look at the webhook",
        checks={"its secret is hidden": 'pm.expect(answer.secret).to.eql("***")'},
    ),
    Step(
        "PATCH /webhooks/{webhook}",
        "Change the webhook",
        "What is left out stays as it was.",
        body={"on": ["failed"]},
        checks={
            "it is changed": 'pm.expect(answer.on).to.eql(["failed"])',
            "the rest stays": 'pm.expect(answer.filter.name).to.eql(["nightly-backup"])',
        },
    ),
    Step(
        "POST /webhooks/{webhook}/test",
        "Test it",
        "Not while it is disabled. An enabled one gets a message that tells of nothing.",
        status=409,
        checks={"it says what to do": 'pm.expect(answer.error).to.include("enable it")'},
    ),
    Step(
        "GET /deliveries", "What was told", "Newest first; of this webhook nothing.", query={"webhook": "{{webhookId}}"}
    ),
    Step("DELETE /webhooks/{webhook}", "Remove it", checks={"it is gone": "pm.expect(answer.success).to.eql(true)"}),
    Step(
        "GET /deliveries/{delivery}",
        "Look at a delivery",
        "There is none on a new server, nor one to deliver once more.",
        path={"delivery": "delivery-999999999"},
        status=404,
    ),
    Step(
        "POST /deliveries/{delivery}/redeliver",
        "Deliver it once more",
        path={"delivery": "delivery-999999999"},
        status=404,
    ),
)
