from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('controller', '0012_described'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='logline',
            index=models.Index(fields=['run', 'at'], name='log_of_run_in_time'),
        ),
    ]
